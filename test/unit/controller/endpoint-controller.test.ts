import { afterEach, describe, expect, test } from '@jest/globals';
import { createEndpointFacts } from '../../../src/adapters/kube/endpoint-facts.ts';
import type { EndpointFactsSource } from '../../../src/adapters/kube/endpoint-facts.ts';
import { createEndpointSlices } from '../../../src/adapters/kube/endpoint-slices.ts';
import { createKubeApi } from '../../../src/adapters/kube/transport.ts';
import { createEndpointController } from '../../../src/controller/endpoint-controller.ts';
import type { EndpointController } from '../../../src/controller/endpoint-controller.ts';
import type { Endpoint, EndpointSlice } from '../../../src/core/endpoint-slice.ts';
import { captureLog } from '../../support/captured-log.ts';
import { startEndpointCluster } from '../../support/endpoint-cluster.ts';
import type { EndpointCluster } from '../../support/endpoint-cluster.ts';
import { makeBypassedPod, makeEndpoint, makeLease, makeNode, makeService, makeSlice } from '../../support/endpoint-scene.ts';
import { eventually, sleep } from '../../support/eventually.ts';

const KEY = 'shop/web-x1';
const RAISED = { ready: true, serving: true, terminating: false };
const LOWERED = { ready: false, serving: false, terminating: false };

interface Harness {
  readonly cluster: EndpointCluster;
  readonly log: ReturnType<typeof captureLog>;
  /** Moves the controller's clock. */
  readonly pass: (ms: number) => void;
  readonly conditions: (index?: number, key?: string) => Endpoint['conditions'];
  /** Age of kubelet's Lease as the first replica sees it. */
  readonly leaseAgeMs: () => number;
  /** A second replica on the same cluster. */
  readonly addReplica: () => Promise<unknown>;
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

/** A cluster with one bypassed pod whose endpoint is not ready, changed by `prepare`, and a controller on it over real HTTP. */
async function start(prepare: (cluster: EndpointCluster) => void = () => undefined): Promise<Harness> {
  const cluster = await startEndpointCluster();
  stops.push(() => cluster.stop());
  cluster.put('nodes', makeNode());
  cluster.put('leases', makeLease(1));
  cluster.put('services', makeService());
  cluster.put('pods', makeBypassedPod());
  cluster.put('endpointslices', makeSlice());
  prepare(cluster);
  const log = captureLog();
  let offsetMs = 0;
  const nowMs = (): number => 1_000_000 + performance.now() + offsetMs;
  const addReplica = async (): Promise<EndpointFactsSource> => {
    const api = createKubeApi({ server: cluster.url });
    const late: { controller?: EndpointController } = {};
    const facts = createEndpointFacts({
      api,
      log: log.log,
      clock: { nowMs, steadyMs: nowMs },
      onChange: (namespace, name) => late.controller?.factsChanged(namespace, name),
    });
    const slices = createEndpointSlices({ api, log: log.log, onChange: (key, now) => late.controller?.sliceChanged(key, now) });
    const controller = createEndpointController({ slices, facts, log: log.log, nowMs, recheckMs: 20 });
    late.controller = controller;
    stops.push(async () => {
      await controller.stop();
      await Promise.all([facts.stop(), slices.stop()]);
      await api.close();
    });
    facts.start();
    slices.start();
    await Promise.all([facts.whenSynced(), slices.whenSynced()]);
    controller.lookAtAll();
    return facts;
  };
  const first = await addReplica();
  return {
    cluster,
    log,
    pass: (ms) => {
      offsetMs += ms;
    },
    conditions: (index = 0, key = KEY) => cluster.slice(key).endpoints?.[index]?.conditions,
    leaseAgeMs: () => nowMs() - (first.facts().lease('node-1')?.renewedMs ?? Number.NaN),
    addReplica,
  };
}

function okWrites(cluster: EndpointCluster, key = KEY): number {
  return cluster.writes.filter((write) => write.key === key && write.status === 200).length;
}

/** The scene once the endpoint was raised, long enough ago for the next write to be free. */
async function startRaised(prepare?: (cluster: EndpointCluster) => void): Promise<Harness> {
  const harness = await start(prepare);
  await eventually('raised', () => harness.log.lines.some((line) => line['message'] === 'endpoint written'));
  harness.pass(1500);
  return harness;
}

/** What Kubernetes' own controller does when it notices: its judgement of a pod that is not Ready. */
function turnedBack(slice: EndpointSlice): EndpointSlice {
  return { ...slice, endpoints: (slice.endpoints ?? []).map((endpoint) => ({ ...endpoint, conditions: LOWERED })) };
}

describe('raises', () => {
  test('at the start, what was missed before', async () => {
    const { cluster, conditions, log } = await startRaised();
    expect(conditions()).toEqual(RAISED);
    expect(okWrites(cluster)).toBe(1);
    expect(log.lines).toContainEqual(
      expect.objectContaining({ message: 'endpoint written', slice: KEY, pod: 'shop/web-a', ready: true, reason: 'the pod is bypassed' }),
    );
  });

  test('within one event of the pod, in milliseconds', async () => {
    const { cluster, conditions } = await start((before) => before.put('pods', makeBypassedPod({ traffic: 'meshed', record: null })));
    await sleep(50);
    expect(conditions()).toEqual(LOWERED);
    const beganMs = performance.now();
    cluster.put('pods', makeBypassedPod());
    await eventually('raised', () => conditions()?.ready === true);
    // A few on a quiet machine; the bound is for one that is not.
    expect(performance.now() - beganMs).toBeLessThan(800);
  });

  test('every slice that names the pod', async () => {
    const { conditions } = await start((cluster) => {
      cluster.put('endpointslices', { ...makeSlice(), metadata: { ...makeSlice().metadata, name: 'web-v6' } });
    });
    await eventually('both raised', () => [KEY, 'shop/web-v6'].every((key) => conditions(0, key)?.ready === true));
    expect(conditions(0, 'shop/web-v6')).toEqual(RAISED);
  });

  test('not what somebody else manages', async () => {
    const { cluster, conditions } = await start((before) => {
      before.put('endpointslices', makeSlice([makeEndpoint()], { 'endpointslice.kubernetes.io/managed-by': 'me' }));
    });
    cluster.put('pods', makeBypassedPod({ appReady: false }));
    cluster.put('pods', makeBypassedPod());
    await sleep(100);
    expect(conditions()).toEqual(LOWERED);
  });

  test('again at once, but not more than once a second, when Kubernetes turns it back after a quiet time', async () => {
    const { cluster, conditions } = await startRaised();
    cluster.put('endpointslices', turnedBack(cluster.slice(KEY)));
    await eventually('raised again', () => conditions()?.ready === true, 900);
    cluster.put('endpointslices', turnedBack(cluster.slice(KEY)));
    await sleep(150);
    expect(conditions()?.ready).toBe(false);
    expect(okWrites(cluster)).toBe(2);
  });

  test('when the app is ready again, and not before', async () => {
    const { cluster, conditions, pass } = await startRaised();
    cluster.put('pods', makeBypassedPod({ appReady: false }));
    await eventually('lowered', () => conditions()?.ready === false);
    await sleep(100);
    expect(conditions()).toEqual(LOWERED);
    pass(1500);
    cluster.put('pods', makeBypassedPod());
    await eventually('raised', () => conditions()?.ready === true);
    expect(okWrites(cluster)).toBe(3);
  });
});

describe('a write that does not last', () => {
  test('a webhook with old facts turns it back without an event: tried again, ever more slowly', async () => {
    const { cluster, conditions, log, pass } = await start((before) => {
      before.admit = turnedBack;
    });
    await eventually('a first try', () => okWrites(cluster) === 1);
    await sleep(200);
    expect(okWrites(cluster)).toBe(1);
    expect(log.lines).toContainEqual(expect.objectContaining({ message: 'endpoint write was turned back', slice: KEY, pods: ['shop/web-a'] }));
    await eventually('a second, a second later', () => okWrites(cluster) === 2);
    await sleep(1200);
    expect(okWrites(cluster)).toBe(2);
    cluster.admit = (slice) => slice;
    pass(3000);
    cluster.put('endpointslices', turnedBack(cluster.slice(KEY)));
    await eventually('raised once the webhook knows', () => conditions()?.ready === true);
  });

  test('the endpoint moved to another index meanwhile: read anew, nothing of others is touched', async () => {
    const stranger: Endpoint = makeEndpoint({ targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-z', uid: 'uid-z' } });
    const { cluster, conditions } = await start((before) => {
      before.beforeWrite = (key) => {
        before.beforeWrite = () => undefined;
        before.put('endpointslices', { ...before.slice(key), endpoints: [stranger, makeEndpoint()] } as EndpointSlice);
      };
    });
    await eventually('raised', () => conditions(1)?.ready === true);
    expect(conditions(0)).toEqual(LOWERED);
    expect(cluster.writes.map((write) => write.status)).toEqual([422, 200]);
  });

  test('the slice is gone meanwhile: nothing more is tried', async () => {
    const { cluster } = await start((before) => {
      before.beforeWrite = (key) => before.remove('endpointslices', key);
    });
    await eventually('a try', () => cluster.writes.length === 1);
    await sleep(200);
    expect(cluster.writes.map((write) => write.status)).toEqual([404]);
  });

  test('two replicas write the same once', async () => {
    const { cluster, conditions, addReplica } = await startRaised();
    await addReplica();
    cluster.put('pods', makeBypassedPod({ appReady: false }));
    await eventually('lowered', () => conditions()?.ready === false);
    await sleep(100);
    expect(okWrites(cluster)).toBe(2);
  });
});

describe('lowers', () => {
  const events: Record<string, (cluster: EndpointCluster) => void> = {
    'the app is not ready': (cluster) => cluster.put('pods', makeBypassedPod({ appReady: false })),
    'the pod is being deleted': (cluster) => cluster.put('pods', makeBypassedPod({ deleting: true })),
    'the pod is gone': (cluster) => cluster.remove('pods', 'shop/web-a'),
    'another pod took its name': (cluster) => cluster.put('pods', makeBypassedPod({ uid: 'uid-new', traffic: 'meshed', record: null })),
    'our label was taken away': (cluster) => cluster.put('pods', makeBypassedPod({ traffic: null })),
    'the bypass ended before the sidecar is ready': (cluster) => {
      cluster.put('pods', makeBypassedPod({ traffic: 'meshed', record: { until: '2026-01-01T00:05:00Z' } }));
    },
    'the node is not Ready': (cluster) => cluster.put('nodes', makeNode('node-1', { ready: false })),
    'the node was booted': (cluster) => cluster.put('nodes', makeNode('node-1', { bootID: 'boot-2' })),
    'the node is gone': (cluster) => cluster.remove('nodes', 'node-1'),
    'its Lease is gone': (cluster) => cluster.remove('leases', 'kube-node-lease/node-1'),
  };
  test.each(Object.entries(events))('%s', async (_what, happen) => {
    const { cluster, conditions } = await startRaised();
    happen(cluster);
    await eventually('lowered', () => conditions()?.ready === false, 2000);
    expect(conditions()).toEqual(LOWERED);
    await sleep(50);
    expect(okWrites(cluster)).toBe(2);
  });

  test('no event at all, the Lease is just not renewed any more: lowered by time; renewed: raised', async () => {
    const { cluster, conditions, pass, leaseAgeMs } = await startRaised();
    pass(20_000);
    cluster.put('leases', makeLease(2));
    await eventually('renewal seen', () => leaseAgeMs() < 20_000);
    pass(20_000);
    await sleep(100);
    expect(conditions()).toEqual(RAISED);
    pass(5500);
    await eventually('lowered', () => conditions()?.ready === false);
    pass(2000);
    cluster.put('leases', makeLease(3));
    await eventually('raised', () => conditions()?.ready === true);
  });

  test('the pod is ready and terminating at once in its slice', async () => {
    const { cluster, conditions } = await startRaised();
    cluster.put('pods', makeBypassedPod({ deleting: true }));
    cluster.put('endpointslices', { ...cluster.slice(KEY), endpoints: [makeEndpoint({ conditions: { ...RAISED, terminating: true } })] } as EndpointSlice);
    await eventually('lowered', () => conditions()?.ready === false, 2500);
    expect(conditions()).toEqual({ ...LOWERED, terminating: true });
  });
});

describe('does not lower', () => {
  test('what cannot be confirmed with the API server', async () => {
    const { cluster, conditions } = await startRaised((before) => {
      before.refuseReads = 500;
    });
    cluster.put('pods', makeBypassedPod({ appReady: false }));
    await eventually('asked', () => cluster.reads.includes('/api/v1/namespaces/shop/pods/web-a'));
    await sleep(100);
    expect(conditions()).toEqual(RAISED);
    cluster.refuseReads = undefined;
    await eventually('lowered', () => conditions()?.ready === false);
  });

  test('a pod that lost our label and is Ready by itself', async () => {
    const { cluster, conditions } = await startRaised();
    cluster.put('pods', makeBypassedPod({ traffic: null, ready: true }));
    await sleep(200);
    expect(conditions()).toEqual(RAISED);
  });

  test('a pod that becomes Ready, when its slice is heard of before the pod', async () => {
    const { cluster, conditions } = await start((before) =>
      before.put('pods', makeBypassedPod({ traffic: 'meshed', record: { until: '2026-01-01T00:05:00Z' } })),
    );
    cluster.put('endpointslices', makeSlice([makeEndpoint({ conditions: RAISED })]));
    cluster.put('pods', makeBypassedPod({ traffic: 'meshed', record: { until: '2026-01-01T00:05:00Z' }, ready: true }));
    await sleep(150);
    expect(conditions()).toEqual(RAISED);
    expect(okWrites(cluster)).toBe(0);
  });

  test('pods of a Service that publishes addresses that are not ready; it does once the Service no longer wants them', async () => {
    const { cluster, conditions } = await start((before) => {
      before.put('services', makeService(true));
      before.put('pods', makeBypassedPod({ appReady: false }));
      before.put('endpointslices', makeSlice([makeEndpoint({ conditions: RAISED })]));
    });
    await sleep(100);
    expect(conditions()).toEqual(RAISED);
    cluster.put('services', makeService(false));
    await eventually('lowered', () => conditions()?.ready === false);
  });

  test('anything when the API server was away for longer than a Lease lasts', async () => {
    const { cluster, conditions, log, pass, leaseAgeMs } = await startRaised();
    await cluster.stop();
    await eventually('missed', () => log.lines.some((line) => JSON.stringify(line).includes('ECONNREFUSED')));
    pass(60_000);
    await sleep(100);
    await cluster.start();
    await eventually('its return is noticed', () => leaseAgeMs() < 60_000, 10_000);
    await sleep(100);
    expect(conditions()).toEqual(RAISED);
    pass(25_500);
    await eventually('lowered by kubelet’s silence after that', () => conditions()?.ready === false, 5000);
  }, 20_000);
});
