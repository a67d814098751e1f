import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../cluster/host.ts';
import { killEnvoyOverAndOver, processesOf } from '../cluster/processes.ts';
import { run } from '../cluster/run.ts';
import { createShop, OPTED_IN, shopPod, startMeshedClient, startPlainClient, type LoadClient } from '../cluster/shop.ts';
import { collect, isGood, summarise, type Result, type Span } from '../measure/series.ts';
import { condition, endpointsOf, restarts, startLab, traffic, untilPod, type Lab } from './lab.ts';
import type { Pod } from '../../src/core/pod.ts';

/*
 * The main job on a real cluster: a sidecar dies for good, and the Service behind it keeps answering, beside plain Istio under the same load.
 * Bounds are generous: this says whether, `npm run bench:failover` says how fast.
 */

const ADMITTED = 'shop-with';
const PLAIN = 'shop-without';
const REFUSED = 'shop-refused';
const CRASHING_MS = 60_000;

let lab: Lab;

beforeAll(async () => {
  lab = await startLab({ allowNamespaces: [ADMITTED] });
}, 300_000);
afterAll(() => lab?.end(), 60_000);

const pod = (): Promise<Pod> => shopPod(lab.cluster, ADMITTED);

describe('a sidecar that is killed over and over', () => {
  let clients: Record<'plainWith' | 'meshedWith' | 'plainWithout' | 'meshedWithout', LoadClient>;
  let before: Pod;
  let bypassed: Pod;
  let span: Span;
  let results: Record<keyof typeof clients, readonly Result[]>;

  beforeAll(async () => {
    const [opted, plain] = await Promise.all([
      createShop(lab.cluster, ADMITTED, { namespaceLabels: OPTED_IN.labels, namespaceAnnotations: OPTED_IN.consent }),
      createShop(lab.cluster, PLAIN),
    ]);
    const [meshedWith, meshedWithout] = await Promise.all([
      startMeshedClient(lab.cluster, ADMITTED, `meshed=http://${opted.address}/`),
      startMeshedClient(lab.cluster, PLAIN, `meshed=http://${plain.address}/`),
    ]);
    const plainWith = await startPlainClient(lab.cluster, `plain=http://${opted.address}/`, { port: 9001 });
    const plainWithout = await startPlainClient(lab.cluster, `plain=http://${plain.address}/`, { port: 9002 });
    clients = { plainWith, meshedWith, plainWithout, meshedWithout };
    before = await untilPod('the sidecar seen healthy', 30_000, pod, (seen) => condition(seen, 'ProxyHealthy')?.status === 'True');
    await pause(3000);

    const fromMs = performance.timeOrigin + performance.now();
    const other = await shopPod(lab.cluster, PLAIN);
    const killers = [before, other].map((victim) => killEnvoyOverAndOver(victim.metadata.uid ?? ''));
    await pause(CRASHING_MS);
    bypassed = await pod();
    const toMs = performance.timeOrigin + performance.now();
    await pause(1500);
    span = { fromMs, toMs };
    const entries = await Promise.all(Object.entries(clients).map(async ([name, client]) => [name, collect(await client.results())] as const));
    results = Object.fromEntries(entries) as typeof results;
    for (const killer of killers) killer.stop();
  }, 300_000);

  test.each(['plainWith', 'meshedWith'] as const)('%s: answered again soon after the first death, and from then on', (name) => {
    const own = results[name].filter((result) => result.t >= span.fromMs && result.t < span.toMs);
    expect(own.length).toBeGreaterThan((CRASHING_MS / 1000) * 50 * 0.9);
    const late = own.filter((result) => result.t > span.fromMs + 3000 && !isGood(result));
    expect(late).toEqual([]);
    expect(summarise(own, span).failures).toBeLessThan(150); // 3 s of 50/s
  });

  test.each(['plainWithout', 'meshedWithout'] as const)('%s: plain Istio beside it loses most of the same load', (name) => {
    const { requests, failures } = summarise(results[name], span);
    expect(failures / requests).toBeGreaterThan(0.5);
  });

  test('the application was not restarted once', () => {
    expect(restarts(bypassed, 'shop')).toBe(restarts(before, 'shop'));
    expect(restarts(bypassed, 'istio-proxy')).toBeGreaterThan(2);
  });

  test('the pod says what the situation is', async () => {
    expect(traffic(bypassed)).toBe('bypassed');
    expect(bypassed.metadata.labels?.['security.istio.io/tlsMode']).toBe('disabled');
    expect(condition(bypassed, 'TrafficReady')).toMatchObject({ status: 'True', reason: 'ProxyBypassed' });
    expect(condition(bypassed, 'Bypassed')).toMatchObject({ status: 'True', reason: 'ProxyBypassed', message: expect.stringContaining('mTLS') });
    expect(condition(bypassed, 'ProxyHealthy')).toMatchObject({ status: 'False' });
    const events = await lab.cluster.kubectl('get', 'events', '-n', ADMITTED, '-o', 'jsonpath={range .items[*]}{.reason}{"\\n"}{end}');
    expect(events.split('\n')).toContain('ProxyBypassed');
  });

  test('kubectl get pods shows the crash loop, the open gate and the bypass', async () => {
    const table = await lab.cluster.kubectl('get', 'pods', '-n', ADMITTED, '-l', 'app=shop', '-o', 'wide', '-L', 'hot-switch.io/traffic');
    expect(table).toMatch(/ 1\/2 .* 1\/1 +bypassed/);
    // Kubernetes shows a crash-looping native sidecar as ended, not as waiting: its back-off is an Event alone.
    const proxy = [...(bypassed.status?.initContainerStatuses ?? []), ...(bypassed.status?.containerStatuses ?? [])].find(({ name }) => name === 'istio-proxy');
    expect(proxy?.state?.running).toBeUndefined();
    const backOffs = await lab.cluster.kubectl(
      'get',
      'events',
      '-n',
      ADMITTED,
      '--field-selector',
      `reason=BackOff,involvedObject.name=${bypassed.metadata.name}`,
      '-o',
      'name',
    );
    expect(backOffs).not.toBe('');
  });

  test('the endpoint is ready, and no writer fights for it', async () => {
    const first = await endpointsOf(lab.cluster, ADMITTED, 'shop');
    expect(first).toMatchObject([{ ready: true, serving: true }]);
    await pause(4000);
    expect((await endpointsOf(lab.cluster, ADMITTED, 'shop'))[0]?.resourceVersion).toBe(first[0]?.resourceVersion);
  });

  test('istiod tells clients not to use mTLS for the pod', async () => {
    expect(await tlsModeTold(before)).toBe('disabled');
  });

  test('while bypassed, an app that is not ready leaves the endpoints within 2 s, and returns', async () => {
    const base = `http://${before.status?.podIP}:8080`;
    await fetch(`${base}/control/unready`, { method: 'POST' });
    const startMs = Date.now();
    await until('the endpoint not ready', 10_000, async () => ((await endpointsOf(lab.cluster, ADMITTED, 'shop'))[0]?.ready === false ? true : undefined));
    const leftMs = Date.now() - startMs;
    await fetch(`${base}/control/ready`, { method: 'POST' });
    await until('the endpoint ready again', 10_000, async () => ((await endpointsOf(lab.cluster, ADMITTED, 'shop'))[0]?.ready === true ? true : undefined));
    // kubelet's own probe takes up to a second of it
    expect(leftMs).toBeLessThan(3500);
  });

  test('once the sidecar lives again, everything is back and traffic goes through it', async () => {
    const restored = await untilPod('the pod restored', 150_000, pod, (seen) => traffic(seen) === 'meshed');
    expect(restored.metadata.uid).toBe(before.metadata.uid);
    expect(restored.metadata.labels?.['security.istio.io/tlsMode']).toBe('istio');
    expect(condition(restored, 'TrafficReady')).toMatchObject({ status: 'True', reason: 'Meshed' });
    expect(condition(restored, 'Bypassed')?.status).toBe('False');
    expect(condition(restored, 'ProxyHealthy')?.status).toBe('True');
    expect(await rulesOf(before)).toMatch(/-A PREROUTING -p tcp -j ISTIO_INBOUND/);
    expect(await rulesOf(before)).toMatch(/-A OUTPUT -j ISTIO_OUTPUT/);
    expect(await rulesOf(before)).not.toMatch(/HOT_SWITCH|hot-switch/);
    expect(await endpointsOf(lab.cluster, ADMITTED, 'shop')).toMatchObject([{ ready: true }]);
    await until('istiod telling mTLS again', 10_000, async () => ((await tlsModeTold(before)) === 'istio' ? true : undefined));
    const counter = await inboundRequests(before);
    expect(counter).toBeGreaterThanOrEqual(0);
    await until('requests through the sidecar', 10_000, async () => ((await inboundRequests(before)) > counter + 20 ? true : undefined));
  }, 200_000);

  test('the restore cost neither client more than a moment', async () => {
    await pause(2000);
    for (const name of ['plainWith', 'meshedWith'] as const) {
      const all = collect(await clients[name].results()).filter((result) => result.t >= span.toMs);
      // The application was made not ready above, for a few seconds: that is its own outage.
      const good = all.filter(isGood).length;
      expect(good).toBeGreaterThan(200);
      expect(all.slice(-50).filter((result) => !isGood(result))).toEqual([]);
    }
  });

  afterAll(async () => {
    await Promise.all(Object.values(clients ?? {}).map((client) => client.stop()));
  }, 60_000);
});

describe('a bypassed pod that is deleted', () => {
  test('is never ready and terminating at once', async () => {
    const victim = await untilPod(
      'the sidecar healthy',
      60_000,
      pod,
      (seen) => condition(seen, 'ProxyHealthy')?.status === 'True' && traffic(seen) === 'meshed',
    );
    const killer = killEnvoyOverAndOver(victim.metadata.uid ?? '');
    try {
      await untilPod('the bypass', 20_000, pod, (seen) => traffic(seen) === 'bypassed');
      await until('kubelet noticing', 20_000, async () => (condition(await pod(), 'Ready')?.status === 'False' ? true : undefined));
      const seen: string[] = [];
      const watching = lab.cluster.tryKubectl(
        'get',
        'endpointslices',
        '-n',
        ADMITTED,
        '-w',
        '--request-timeout=12s',
        '-o',
        'json',
        '--output-watch-events=false',
      );
      await lab.cluster.kubectl('delete', 'pod', '-n', ADMITTED, victim.metadata.name ?? '', '--wait=true', '--timeout=30s');
      for (const text of (await watching).stdout.split(/\n(?=\{\n)/)) {
        const slice = text.trim() === '' ? {} : (JSON.parse(text) as WatchedSlice);
        const own = (slice.endpoints ?? []).filter(({ targetRef }) => targetRef?.uid === victim.metadata.uid);
        seen.push(...own.map(({ conditions }) => `ready=${conditions.ready} terminating=${conditions.terminating}`));
      }
      expect(seen).toContain('ready=false terminating=true');
      expect(seen).not.toContain('ready=true terminating=true');
    } finally {
      killer.stop();
    }
  }, 120_000);
});

describe('without consent of the installation', () => {
  test('a dead sidecar is not bypassed: the gate closes, and the pod says why', async () => {
    await createShop(lab.cluster, REFUSED, { namespaceLabels: OPTED_IN.labels, namespaceAnnotations: OPTED_IN.consent });
    const read = (): Promise<Pod> => shopPod(lab.cluster, REFUSED);
    const healthy = await untilPod('the sidecar healthy', 60_000, read, (seen) => condition(seen, 'ProxyHealthy')?.status === 'True');
    const killer = killEnvoyOverAndOver(healthy.metadata.uid ?? '');
    try {
      const refused = await untilPod('the refusal', 20_000, read, (seen) => traffic(seen) === 'blocked');
      expect(condition(refused, 'TrafficReady')).toMatchObject({ status: 'False', reason: 'BypassRefused', message: expect.stringContaining(REFUSED) });
      expect(refused.metadata.labels?.['security.istio.io/tlsMode']).toBe('istio');
      expect(await rulesOf(healthy)).toMatch(/-A PREROUTING -p tcp -j ISTIO_INBOUND/);
    } finally {
      killer.stop();
    }
    const back = await untilPod(
      'the gate open again',
      120_000,
      read,
      (seen) => traffic(seen) === 'meshed' && condition(seen, 'TrafficReady')?.status === 'True',
    );
    expect(condition(back, 'TrafficReady')?.reason).toBe('Meshed');
  }, 240_000);
});

interface WatchedSlice {
  readonly endpoints?: readonly {
    readonly conditions: { readonly ready?: boolean; readonly terminating?: boolean };
    readonly targetRef?: { readonly uid?: string };
  }[];
}

/** The nat rules inside the pod. */
async function rulesOf(of: Pod): Promise<string> {
  return run('nsenter', ['-t', String(anyProcess(of)), '-n', 'iptables-nft-save', '-t', 'nat']);
}

/** Requests that the pod's Envoy has passed to the application so far: of the cluster's host, since Istio leaves the cluster's own counters out. */
async function inboundRequests(of: Pod): Promise<number> {
  const text = await run('nsenter', ['-t', String(anyProcess(of)), '-n', 'curl', '-s', '-m', '2', 'http://127.0.0.1:15000/clusters']);
  return Number(/^inbound\|8080\|\|::[^\n]*::rq_total::(\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}

/** The TLS mode that istiod tells clients for the pod's endpoint; its debug pages are open to the loopback only. */
async function tlsModeTold(of: Pod): Promise<string | undefined> {
  const shards: unknown = await (await fetch('http://127.0.0.1:15014/debug/endpointShardz')).json();
  return findTlsMode(shards, of.status?.podIP ?? '');
}

/** Looks for the endpoint (istio.io/istio pilot/pkg/model, IstioEndpoint) wherever the page has it. */
function findTlsMode(value: unknown, address: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { Addresses: addresses, TLSMode: mode } = value as { Addresses?: unknown; TLSMode?: unknown };
  if (Array.isArray(addresses) && addresses.includes(address)) return typeof mode === 'string' ? mode : undefined;
  return Object.values(value)
    .map((part) => findTlsMode(part, address))
    .find((found) => found !== undefined);
}

function anyProcess(of: Pod): number {
  const [pid] = processesOf(of.metadata.uid ?? '', 'busybox');
  if (pid === undefined) throw new Error(`the sandbox of ${of.metadata.name} has no process`);
  return pid;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
