import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openPodNetns } from '../../src/adapters/netns/handle.ts';
import { listenInside } from '../../src/adapters/netns/listen.ts';
import { listeners } from '../../src/adapters/netns/listeners.ts';
import { scanPodProcesses } from '../../src/adapters/netns/proc.ts';
import { makePodNamespace, missing, sweep, type PodNamespace } from './pod-namespace.ts';

const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const problem = missing();
  if (problem !== undefined) throw new Error(problem);
  await sweep();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function pod(options: Parameters<typeof makePodNamespace>[0] = {}): Promise<PodNamespace> {
  const made = await makePodNamespace(options);
  cleanups.push(() => made.close());
  return made;
}

describe('openPodNetns', () => {
  test.each(['cgroupfs', 'systemd'] as const)('finds the namespace of a pod below the %s driver', async (driver) => {
    const { podUid, podIP, sandbox } = await pod({ driver });
    const opened = await openPodNetns({ procRoot: '/proc', podUid, podIPs: [podIP] });
    if (!opened.found) throw new Error(opened.why);
    cleanups.push(() => opened.netns.close());
    expect(opened.netns.pid).toBe(sandbox.pid);
    expect(await opened.netns.valid()).toBe(true);
    await opened.netns.close();
    expect(await opened.netns.valid()).toBe(false);
  });

  test('another pod with the same UID in its cgroup, or the address of another pod, is refused', async () => {
    const first = await pod();
    const second = await pod();
    const found = (podUid: string, ...podIPs: readonly string[]): ReturnType<typeof openPodNetns> => openPodNetns({ procRoot: '/proc', podUid, podIPs });
    expect(await found(first.podUid, second.podIP)).toEqual({ found: false, why: expect.stringContaining('addresses') });
    expect(await found(first.podUid, first.podIP, second.podIP)).toEqual({ found: false, why: expect.stringContaining('addresses') });
    expect(await found(first.podUid)).toEqual({ found: false, why: expect.stringContaining('no address yet') });
    expect(await found(first.podUid, 'not an address')).toEqual({ found: false, why: expect.stringContaining('addresses') });
    expect(await found(randomUUID(), first.podIP)).toEqual({ found: false, why: expect.stringContaining('no process') });
  });

  test("a process of the pod in the node's namespace is refused, though that namespace holds the address", async () => {
    const made = await pod();
    const astray = spawn('sleep', ['60'], { stdio: 'ignore' });
    cleanups.push(async () => {
      const ended = once(astray, 'exit');
      astray.kill('SIGKILL');
      await ended;
    });
    writeFileSync(join(made.cgroup, 'cgroup.procs'), String(astray.pid));
    const open = (): ReturnType<typeof openPodNetns> => openPodNetns({ procRoot: '/proc', podUid: made.podUid, podIPs: [made.nodeIP] });
    expect(await open()).toEqual({ found: false, why: expect.stringContaining('addresses') });
    made.sandbox.kill('SIGKILL');
    await once(made.sandbox, 'exit');
    expect(await open()).toEqual({ found: false, why: expect.stringContaining('of the node') });
  });

  test('of two namespaces under one UID (a replaced sandbox) the one with the address is taken', async () => {
    const old = await pod();
    const current = await pod({ podUid: old.podUid });
    const scan = await scanPodProcesses('/proc');
    expect(scan.filter((process) => process.podUids.includes(old.podUid))).toHaveLength(2);
    for (const { podIP, sandbox } of [old, current]) {
      const opened = await openPodNetns({ procRoot: '/proc', podUid: old.podUid, podIPs: [podIP], scan });
      if (!opened.found) throw new Error(opened.why);
      cleanups.push(() => opened.netns.close());
      expect(opened.netns.pid).toBe(sandbox.pid);
    }
  });
});

describe('listeners', () => {
  test('shows what listens in the namespace and nothing of the node, with its address', async () => {
    const made = await pod();
    const netns = await made.netns();
    cleanups.push(() => netns.close());
    expect(await listeners(netns)).toEqual({ known: true, listeners: [] });
    const outside = createServer().listen(0);
    await once(outside, 'listening');
    for (const [port, host] of [
      [15021, '0.0.0.0'],
      [8080, '127.0.0.1'],
      [8081, made.podIP],
      [8082, '::'],
    ] as const) {
      const server = await listenInside(netns, { port, host });
      cleanups.push(async () => server.close());
    }
    const seen = await listeners(netns);
    outside.close();
    expect(seen.known && [...seen.listeners].sort((a, b) => a.port - b.port)).toEqual([
      { port: 8080, address: 'loopback' },
      { port: 8081, address: made.podIP },
      { port: 8082, address: 'any' },
      { port: 15021, address: 'any' },
    ]);
  });

  test('a pod whose process ended is unknown, not "nothing listens"', async () => {
    const made = await pod();
    const netns = await made.netns();
    cleanups.push(() => netns.close());
    made.sandbox.kill('SIGKILL');
    await once(made.sandbox, 'exit');
    expect(await listeners(netns)).toEqual({ known: false, why: expect.any(String) });
  });
});
