import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createIptables, inside } from '../../src/adapters/netns/iptables.ts';
import { listenInside } from '../../src/adapters/netns/listen.ts';
import type { PodNetns } from '../../src/adapters/netns/handle.ts';
import { planDetach, planRestore, redirectionOf, type Plan, type RedirectionState } from '../../src/core/netfilter/detach.ts';
import { applied } from '../support/simulated-iptables.ts';
import { makePodNamespace, missing, programIstio, savedRules, sh, sweep, type PodNamespace } from './pod-namespace.ts';

const iptables = createIptables({ timeoutMs: 10_000 });
const cleanups: (() => Promise<unknown> | undefined)[] = [];

beforeAll(async () => {
  const problem = missing();
  if (problem !== undefined) throw new Error(problem);
  await sweep();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function meshedPod(env: Readonly<Record<string, string>> = {}, ...flags: readonly string[]): Promise<{ pod: PodNamespace; netns: PodNetns }> {
  const pod = await makePodNamespace();
  cleanups.push(() => pod.close());
  await programIstio(pod, env, ...flags);
  const netns = await pod.netns();
  cleanups.push(() => netns.close());
  return { pod, netns };
}

async function state(netns: PodNetns): Promise<RedirectionState> {
  return redirectionOf(await iptables.save(netns));
}

/** Carries a plan out; its text, or '' when there was nothing to do. */
async function carryOut(netns: PodNetns, plan: Plan): Promise<string> {
  if ('problem' in plan) throw new Error(plan.problem);
  if ('already' in plan) return '';
  await iptables.apply(netns, plan.restoreText);
  return plan.restoreText;
}
const detach = async (netns: PodNetns, probePort = 15920): Promise<string> => carryOut(netns, planDetach(await iptables.save(netns), { probePort }));
const restore = async (netns: PodNetns): Promise<string> => carryOut(netns, planRestore(await iptables.save(netns)));

/** connected, or the code of the error, of a connection from this namespace to the pod. */
async function reach(host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(3000) });
    return 'connected';
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    socket.destroy();
  }
}

/** The same from inside of the pod, as a process that is not the sidecar's. */
async function reachFrom(pod: PodNamespace, host: string, port: number): Promise<string> {
  const script = `require('net').connect(${port},'${host}').on('connect',()=>end('connected')).on('error',(e)=>end(e.code));function end(t){console.log(t);process.exit()}`;
  return (await pod.run(process.execPath, '-e', script)).trim();
}

/** The answer over a connection of its own: rules of the table nat do not touch open ones. */
async function textOf(pod: PodNamespace, port: number): Promise<string> {
  const request = get({ host: pod.podIP, port, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return (await response.toArray()).join('');
}

/** An HTTP server of this process behind a listening socket, which may be in another namespace. */
async function serve(handle: unknown, text: string): Promise<Server> {
  const http = createServer((_request, response) => response.end(text));
  http.listen(handle);
  await once(http, 'listening');
  cleanups.push(
    () =>
      new Promise((resolve) => {
        http.close(resolve);
        http.closeAllConnections();
      }),
  );
  return http;
}

describe("Istio's own rules, detached and put back", () => {
  const variants: Readonly<Record<string, readonly [Readonly<Record<string, string>>, ...string[]]>> = {
    'the default': [{}],
    'DNS capture: tables nat and raw': [{}, '--redirect-dns', '--capture-all-dns'],
    'INVALID_DROP and an excluded interface: mangle, and rules of Istio before the hooks': [{ INVALID_DROP: 'true' }, '-c', 'eth7'],
  };
  test.each(Object.entries(variants))(
    '%s: 20 rounds are byte-identical, and the simulated iptables of the unit tests agrees with the kernel',
    async (_, [env, ...flags]) => {
      const { netns } = await meshedPod(env, ...flags);
      const before = await savedRules(netns);
      let bypassed: string | undefined;
      for (let round = 0; round < 20; round += 1) {
        const forth = await detach(netns);
        const now = await savedRules(netns);
        expect(now).toBe((bypassed ??= applied(before, forth)));
        expect(await state(netns)).toBe('detached');
        await restore(netns);
        expect(await savedRules(netns)).toBe(before);
      }
      expect(bypassed).not.toBe(before);
    },
    60_000,
  );

  test('foreign rules before and after the hooks stay where they are', async () => {
    const { pod, netns } = await meshedPod();
    await pod.run('iptables-nft', '-t', 'nat', '-I', 'PREROUTING', '1', '-i', 'eth7', '-j', 'RETURN');
    await pod.run(
      'iptables-nft',
      '-t',
      'nat',
      '-A',
      'PREROUTING',
      '-p',
      'udp',
      '--dport',
      '7',
      '-m',
      'comment',
      '--comment',
      'of somebody else',
      '-j',
      'RETURN',
    );
    await pod.run('iptables-nft', '-t', 'nat', '-I', 'OUTPUT', '1', '-d', '192.0.2.0/24', '-j', 'RETURN');
    await pod.run('iptables-nft', '-t', 'filter', '-A', 'INPUT', '-p', 'tcp', '--dport', '9', '-j', 'DROP');
    const before = await savedRules(netns);
    await detach(netns);
    const bypassed = await savedRules(netns);
    for (const line of before.split('\n').filter((text) => !/^-A (PREROUTING|OUTPUT) .*-j ISTIO_/.test(text))) expect(bypassed).toContain(line);
    await restore(netns);
    expect(await savedRules(netns)).toBe(before);
  });

  test('twice is nothing to do: no command runs, no byte changes', async () => {
    const { netns } = await meshedPod();
    const before = await savedRules(netns);
    expect(await detach(netns)).not.toBe('');
    const bypassed = await savedRules(netns);
    expect(await detach(netns)).toBe('');
    expect(await savedRules(netns)).toBe(bypassed);
    expect(await restore(netns)).not.toBe('');
    expect(await restore(netns)).toBe('');
    expect(await savedRules(netns)).toBe(before);
  });

  test('a jump that somebody puts back during a bypass is neither doubled nor lost', async () => {
    const { pod, netns } = await meshedPod();
    const before = await savedRules(netns);
    await detach(netns);
    const bypassed = await savedRules(netns);
    await pod.run('iptables-nft', '-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '-j', 'ISTIO_INBOUND');
    expect(await state(netns)).toBe('partial');
    await detach(netns);
    expect(await savedRules(netns)).toBe(bypassed);
    await pod.run('iptables-nft', '-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '-j', 'ISTIO_INBOUND');
    await restore(netns);
    expect(await savedRules(netns)).toBe(before);
  });

  test('rules that changed since they were read: the whole transaction fails and changes nothing', async () => {
    const { pod, netns } = await meshedPod();
    const plan = planDetach(await iptables.save(netns));
    await pod.run('iptables-nft', '-t', 'nat', '-D', 'OUTPUT', '-j', 'ISTIO_OUTPUT');
    const before = await savedRules(netns);
    await expect(carryOut(netns, plan)).rejects.toThrow('iptables-nft-restore');
    expect(await savedRules(netns)).toBe(before);
  });
});

describe('traffic', () => {
  test('a dead sidecar blocks it, a bypass lets it through, a restore blocks it again', async () => {
    const { pod, netns } = await meshedPod();
    await serve(await listenInside(netns, { port: 8080 }), 'the application');
    const other = await serve({ host: pod.nodeIP, port: 0 }, 'another service');
    const { port } = other.address() as { port: number };
    const seen = async (): Promise<readonly string[]> => [await reach(pod.podIP, 8080), await reachFrom(pod, pod.nodeIP, port)];
    expect(await seen()).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
    await detach(netns);
    expect(await seen()).toEqual(['connected', 'connected']);
    expect(await textOf(pod, 8080)).toBe('the application');
    await restore(netns);
    expect(await seen()).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  test('port 15020 reaches a listener of this process at 15920 while detached; a returning pilot-agent can bind its own 15020', async () => {
    const { pod, netns } = await meshedPod();
    await serve(await listenInside(netns, { port: 15920 }), 'probes');
    await detach(netns, 15920);
    expect(await textOf(pod, 15020)).toBe('probes');
    await serve(await listenInside(netns, { port: 15020 }), 'pilot-agent');
    expect(await textOf(pod, 15020)).toBe('probes');
    await restore(netns);
    expect(await textOf(pod, 15020)).toBe('pilot-agent');
  });
});

describe('faults', () => {
  test('kill -9 of iptables-restore at any moment leaves all hooks live or all parked', async () => {
    const { netns } = await meshedPod();
    const before = await savedRules(netns);
    const plan = planDetach(await iptables.save(netns), { probePort: 15920 });
    const startMs = performance.now();
    await carryOut(netns, plan);
    const wholeMs = performance.now() - startMs;
    await restore(netns);
    const ends: RedirectionState[] = [];
    for (let round = 0; round < 24; round += 1) {
      if (!('restoreText' in plan)) throw new Error(JSON.stringify(plan));
      const [command, ...args] = inside('nsenter', ['iptables-nft-restore', '--noflush']);
      const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore', netns.fd] });
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(plan.restoreText);
      const closed = once(child, 'close');
      // From at once to well after the usual end.
      await delay((wholeMs * round) / 12);
      child.kill('SIGKILL');
      await closed;
      ends.push(await state(netns));
      await restore(netns);
      expect(await savedRules(netns)).toBe(before);
    }
    expect(ends.filter((end) => end !== 'attached' && end !== 'detached')).toEqual([]);
    expect(ends).toContain('attached');
    expect(ends).toContain('detached');
  }, 30_000);

  test('a handle whose process ended is refused, and nothing is written', async () => {
    const { pod, netns } = await meshedPod();
    const before = await savedRules(netns);
    pod.sandbox.kill('SIGKILL');
    await once(pod.sandbox, 'exit');
    expect(await netns.valid()).toBe(false);
    await expect(iptables.apply(netns, '*nat\n-F\nCOMMIT\n')).rejects.toThrow('not that of the pod');
    await expect(listenInside(netns, { port: 15920 })).rejects.toThrow('not that of the pod');
    expect(await savedRules(netns)).toBe(before);
  });

  test('a program that is not there, or fails, makes the rules unknown and the change an error', async () => {
    const { netns } = await meshedPod();
    const broken = createIptables({ save: 'hot-switch-no-such-program', restore: 'false' });
    expect(await broken.save(netns)).toEqual({ known: false, why: expect.stringContaining('hot-switch-no-such-program') });
    await expect(broken.apply(netns, '')).rejects.toMatchObject({ name: 'CommandError', exitCode: 1, argv: expect.arrayContaining(['false', '--noflush']) });
    const slow = createIptables({ restore: 'cat', save: 'yes', timeoutMs: 300 });
    expect(await slow.save(netns)).toEqual({ known: false, why: expect.stringMatching(/took too long|wrote too much/) });
  });

  test('a port that is taken inside of the namespace is an error, and no process is left', async () => {
    const { netns } = await meshedPod();
    await serve(await listenInside(netns, { port: 15920 }), 'first');
    await expect(listenInside(netns, { port: 15920 })).rejects.toThrow('EADDRINUSE');
    await expect(listenInside(netns, { port: 15921, timeoutMs: 1 })).rejects.toThrow('took longer than 1 ms');
    expect(await sh('ps', '--no-headers', '-o', 'args', '--ppid', String(process.pid))).not.toContain('listen-child');
  });
});
