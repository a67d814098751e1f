import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { EndpointFacts, PodFacts } from '../../../src/core/endpoint-facts.ts';
import { overrideSlice, planSlice, reconcileSlice } from '../../../src/core/endpoint-override.ts';
import type { Endpoint, EndpointConditions, EndpointSlice } from '../../../src/core/endpoint-slice.ts';
import type { JsonPatchOperation } from '../../../src/core/json-patch.ts';
import { standsRaised, verdictOf } from '../../../src/core/endpoint-verdict.ts';
import { BYPASSED_POD, GOOD_NODE, makeEndpoint, makeFacts, makeSlice, NOW_MS } from '../../support/endpoint-scene.ts';
import { applyPatch } from '../../support/json-patch.ts';

/** Cloned, since a value is compared with what structuredClone made. */
function patched(slice: EndpointSlice, patch: readonly JsonPatchOperation[]): EndpointSlice {
  return applyPatch(slice, structuredClone(patch));
}

const READY: EndpointConditions = { ready: true, serving: true, terminating: false };
const NOT_READY: EndpointConditions = { ready: false, serving: false, terminating: false };

function withPod(changes: Partial<PodFacts>): EndpointFacts {
  return makeFacts({ pods: { 'shop/web-a': { ...BYPASSED_POD, ...changes } } });
}

interface Case {
  readonly endpoint?: Endpoint;
  readonly labels?: Record<string, string>;
  readonly facts?: EndpointFacts;
}

/** Each row breaks exactly one guard. */
const BROKEN_GUARDS: Record<string, Case> = {
  'the caches are not synced': { facts: makeFacts({ synced: false }) },
  'somebody else manages the slice': { labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' } },
  'the endpoint stands for no pod': { endpoint: makeEndpoint({ targetRef: { kind: 'Node', name: 'web-a', namespace: 'shop', uid: 'uid-a' } }) },
  'the endpoint names no UID': { endpoint: makeEndpoint({ targetRef: { kind: 'Pod', name: 'web-a', namespace: 'shop' } }) },
  'the UID is that of another pod': { facts: withPod({ uid: 'uid-b' }) },
  'the pod is not known': { facts: makeFacts({ pods: {} }) },
  'the label does not say bypassed': { facts: withPod({ traffic: 'meshed' }) },
  'Bypassed is not True': { facts: withPod({ bypassed: 'False' }) },
  'Bypassed is absent': { facts: withPod({ bypassed: undefined }) },
  'TrafficReady is not True': { facts: withPod({ trafficReady: 'False' }) },
  'TrafficReady is absent': { facts: withPod({ trafficReady: undefined }) },
  'another container is not ready': { facts: withPod({ othersReady: false }) },
  'the pod is being deleted': { facts: withPod({ deleting: true }) },
  'the endpoint is terminating': { endpoint: makeEndpoint({ conditions: { ...NOT_READY, terminating: true } }) },
  'there is no record of the bypass': { facts: withPod({ bypass: undefined }) },
  'there is no record, and the node tells no boot ID': {
    facts: makeFacts({ pods: { 'shop/web-a': { ...BYPASSED_POD, bypass: undefined } }, nodes: { 'node-1': { ...GOOD_NODE, bootID: undefined } } }),
  },
  'the bypass has ended': { facts: withPod({ bypass: { bootID: 'boot-1', until: '2026-01-01T00:00:00Z' } }) },
  'the node is not Ready': { facts: makeFacts({ nodes: { 'node-1': { ...GOOD_NODE, ready: false } } }) },
  'the node is not known': { facts: makeFacts({ nodes: {} }) },
  'the pod has no node': { facts: withPod({ nodeName: undefined }) },
  'the node was booted since': { facts: makeFacts({ nodes: { 'node-1': { ...GOOD_NODE, bootID: 'boot-2' } } }) },
  'the Lease is older than 25 s': { facts: makeFacts({ leases: { 'node-1': { renewedMs: NOW_MS - 25_001 } } }) },
  'the Lease is not known': { facts: makeFacts({ leases: {} }) },
};

describe('raise', () => {
  test('all guards hold: raised', () => {
    expect(verdictOf(makeEndpoint(), makeSlice(), makeFacts(), NOW_MS).action).toBe('raise');
  });

  test.each(Object.entries(BROKEN_GUARDS))('%s: not raised, by neither writer', (_why, { endpoint = makeEndpoint(), labels = {}, facts = makeFacts() }) => {
    const slice = makeSlice([endpoint], labels);
    expect(verdictOf(endpoint, slice, facts, NOW_MS).action).toBe('keep');
    expect([overrideSlice(slice, facts, NOW_MS), reconcileSlice(slice, facts, NOW_MS)]).toEqual([[], []]);
  });

  test('every reason not to raise is told', () => {
    const reasons = Object.values(BROKEN_GUARDS).map(({ endpoint = makeEndpoint(), labels = {}, facts = makeFacts() }) => {
      return verdictOf(endpoint, makeSlice([endpoint], labels), facts, NOW_MS).reason;
    });
    expect(reasons).not.toContain('');
    expect(new Set(reasons).size).toBeGreaterThanOrEqual(13);
  });

  const stillRaised: Record<string, Case> = {
    'a Lease renewed exactly 25 s ago is fresh': { facts: makeFacts({ leases: { 'node-1': { renewedMs: NOW_MS - 25_000 } } }) },
    'the Service is not known (that matters only to the lowering)': { facts: makeFacts({ services: {} }) },
    'a hung sidecar: kubelet calls the pod Ready still': { facts: withPod({ podReady: true }) },
    'no namespace in the targetRef: the one of the slice': { endpoint: makeEndpoint({ targetRef: { kind: 'Pod', name: 'web-a', uid: 'uid-a' } }) },
  };
  test.each(Object.entries(stillRaised))('%s: raised', (_why, { endpoint = makeEndpoint(), facts = makeFacts() }) => {
    const slice = makeSlice([endpoint]);
    const want = { ready: true, serving: true, terminating: false };
    expect(patched(slice, overrideSlice(slice, facts, NOW_MS)).endpoints?.[0]?.conditions).toEqual(want);
    expect(patched(slice, reconcileSlice(slice, facts, NOW_MS)).endpoints?.[0]?.conditions).toEqual(want);
  });

  test('serving that is absent stays absent', () => {
    const slice = makeSlice([makeEndpoint({ conditions: { ready: false } })]);
    expect(patched(slice, reconcileSlice(slice, makeFacts(), NOW_MS)).endpoints?.[0]?.conditions).toEqual({ ready: true });
  });

  test('one pod in two slices (two address families): both are raised', () => {
    const patches = [makeSlice(), makeSlice([makeEndpoint()], { family: 'IPv6' })].map((slice) => reconcileSlice(slice, makeFacts(), NOW_MS));
    expect(patches.map((patch) => patch.length > 0)).toEqual([true, true]);
  });

  test('one pod twice in one slice: both endpoints are raised', () => {
    const slice = makeSlice([makeEndpoint(), makeEndpoint()]);
    const after = patched(slice, reconcileSlice(slice, makeFacts(), NOW_MS));
    expect(after.endpoints?.map((endpoint) => endpoint.conditions?.ready)).toEqual([true, true]);
  });
});

const RAISED = makeEndpoint({ conditions: READY });

describe('lower', () => {
  const lowered: Record<string, Case> = {
    'the app is not ready': { facts: withPod({ othersReady: false }) },
    'the pod is being deleted': { facts: withPod({ deleting: true }) },
    'the bypass has ended, and the sidecar is not ready yet': {
      facts: withPod({ traffic: 'meshed', bypassed: 'False', bypass: { bootID: 'boot-1', until: '2026-01-01T00:00:00Z' } }),
    },
    'traffic has no working path any more': { facts: withPod({ traffic: 'blocked', bypassed: 'False', trafficReady: 'False' }) },
    'the node is not Ready': { facts: makeFacts({ nodes: { 'node-1': { ...GOOD_NODE, ready: false } } }) },
    'the node was deleted': { facts: makeFacts({ nodes: {} }) },
    'the node was booted': { facts: makeFacts({ nodes: { 'node-1': { ...GOOD_NODE, bootID: 'boot-2' } } }) },
    'the Lease went stale': { facts: makeFacts({ leases: { 'node-1': { renewedMs: NOW_MS - 25_001 } } }) },
    'the record is unreadable, the label still says bypassed': { facts: withPod({ bypass: undefined }) },
    'the pod is gone': { facts: makeFacts({ pods: {}, gone: ['uid-a'] }) },
    'the pod is gone, and another has its name': { facts: makeFacts({ pods: { 'shop/web-a': { ...BYPASSED_POD, uid: 'uid-b' } }, gone: ['uid-a'] }) },
    'the endpoint is terminating': { endpoint: makeEndpoint({ conditions: { ready: true, serving: true, terminating: true } }) },
    'the endpoint has no ready at all, which reads as ready': {
      endpoint: makeEndpoint({ conditions: { serving: true } }),
      facts: withPod({ othersReady: false }),
    },
    'the endpoint has no conditions, which reads as ready': { endpoint: withoutConditions(), facts: withPod({ othersReady: false }) },
  };
  test.each(Object.entries(lowered))('%s: lowered by the controller, left to it by the webhook', (_why, { endpoint = RAISED, facts = makeFacts() }) => {
    const slice = makeSlice([endpoint]);
    expect(verdictOf(endpoint, slice, facts, NOW_MS).action).toBe('lower');
    const after = patched(slice, reconcileSlice(slice, facts, NOW_MS)).endpoints?.[0];
    expect(after?.conditions?.ready).toBe(false);
    expect(after?.conditions?.serving ?? false).toBe(false);
    expect(overrideSlice(slice, facts, NOW_MS)).toEqual([]);
  });

  const kept: Record<string, Case & { readonly services?: Record<string, boolean> }> = {
    'all guards hold': {},
    'the pod is Ready by itself': { facts: withPod({ podReady: true, othersReady: false }) },
    'the pod is Ready by itself on a node that is not': {
      facts: makeFacts({ pods: { 'shop/web-a': { ...BYPASSED_POD, podReady: true } }, nodes: {} }),
    },
    'the Service publishes addresses that are not ready': {
      facts: makeFacts({ pods: { 'shop/web-a': { ...BYPASSED_POD, othersReady: false } }, services: { 'shop/web': true } }),
    },
    'such a Service, and the endpoint is terminating': {
      endpoint: makeEndpoint({ conditions: { ready: true, serving: true, terminating: true } }),
      facts: makeFacts({ services: { 'shop/web': true } }),
    },
    'the Service is not known': { facts: makeFacts({ pods: { 'shop/web-a': { ...BYPASSED_POD, othersReady: false } }, services: {} }) },
    'the slice names no Service': { labels: { 'kubernetes.io/service-name': '' }, facts: withPod({ othersReady: false }) },
    'the pod was never seen: our cache may be behind': { facts: makeFacts({ pods: {} }) },
    'another pod has the name: one of the caches is behind': { facts: withPod({ uid: 'uid-b', othersReady: false }) },
    'never bypassed: it may have become Ready a moment ago': {
      facts: withPod({ traffic: 'meshed', bypassed: 'False', bypass: undefined, othersReady: false }),
    },
    'the slice is somebody else’s': {
      labels: { 'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io' },
      facts: withPod({ othersReady: false }),
    },
    'the caches are not synced': { facts: makeFacts({ synced: false, pods: { 'shop/web-a': { ...BYPASSED_POD, othersReady: false } } }) },
  };
  test.each(Object.entries(kept))('%s: kept', (_why, { endpoint = RAISED, labels = {}, facts = makeFacts() }) => {
    expect(reconcileSlice(makeSlice([endpoint], labels), facts, NOW_MS)).toEqual([]);
  });

  test('a terminating pod that is Ready by itself goes on serving', () => {
    const slice = makeSlice([makeEndpoint({ conditions: { ready: true, serving: true, terminating: true } })]);
    const after = patched(slice, reconcileSlice(slice, withPod({ podReady: true, deleting: true }), NOW_MS));
    expect(after.endpoints?.[0]?.conditions).toEqual({ ready: false, serving: true, terminating: true });
  });

  const stands: Record<string, { facts: EndpointFacts; want: boolean }> = {
    'a bypassed pod that is not Ready by itself': { facts: makeFacts(), want: true },
    'a pod that is Ready by itself': { facts: withPod({ podReady: true }), want: false },
    'a pod that was never bypassed': { facts: withPod({ traffic: 'meshed', bypassed: undefined, bypass: undefined }), want: false },
    'a pod that is gone': { facts: makeFacts({ pods: {}, gone: ['uid-a'] }), want: true },
    'a pod that is not known': { facts: makeFacts({ pods: {} }), want: false },
  };
  test.each(Object.entries(stands))('a ready endpoint of %s is ours to watch or not', (_whose, { facts, want }) => {
    expect([standsRaised(makeSlice([RAISED]), facts), standsRaised(makeSlice(), facts)]).toEqual([want, false]);
  });
});

describe('hints', () => {
  const other = (hints: Endpoint['hints'], ready = true): Endpoint => ({
    conditions: { ready, serving: ready },
    targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-b', uid: 'uid-b' },
    nodeName: 'node-2',
    zone: 'zone-2',
    ...(hints === undefined ? {} : { hints }),
  });
  const rows: Record<string, { peers: Endpoint[]; mine?: Endpoint; facts?: EndpointFacts; want: Endpoint['hints'] }> = {
    'no peer: none': { peers: [], want: undefined },
    'peers without hints: none': { peers: [other(undefined)], want: undefined },
    'a peer with a zone: its own zone': { peers: [other({ forZones: [{ name: 'zone-2' }] })], want: { forZones: [{ name: 'zone-1' }] } },
    'a peer with a node: its own node': { peers: [other({ forNodes: [{ name: 'node-2' }] })], want: { forNodes: [{ name: 'node-1' }] } },
    'a peer with both: both': {
      peers: [other({ forZones: [{ name: 'zone-2' }], forNodes: [{ name: 'node-2' }] })],
      want: { forZones: [{ name: 'zone-1' }], forNodes: [{ name: 'node-1' }] },
    },
    'only a peer that is not ready has hints: none': { peers: [other({ forZones: [{ name: 'zone-2' }] }, false)], want: undefined },
    'the zone stands on the node only': {
      peers: [other({ forZones: [{ name: 'zone-2' }] })],
      mine: { conditions: NOT_READY, targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-a', uid: 'uid-a' } },
      want: { forZones: [{ name: 'zone-1' }] },
    },
    'no zone is known: raised all the same': {
      peers: [other({ forZones: [{ name: 'zone-2' }] })],
      mine: { conditions: NOT_READY, targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-a', uid: 'uid-a' } },
      facts: makeFacts({ nodes: { 'node-1': { ...GOOD_NODE, zone: undefined } } }),
      want: undefined,
    },
    'hints of its own stay': {
      peers: [other({ forZones: [{ name: 'zone-2' }] })],
      mine: makeEndpoint({ hints: { forZones: [{ name: 'zone-9' }] } }),
      want: { forZones: [{ name: 'zone-9' }] },
    },
  };
  test.each(Object.entries(rows))('%s', (_what, { peers, mine = makeEndpoint(), facts = makeFacts(), want }) => {
    const slice = makeSlice([...peers, mine]);
    for (const patch of [overrideSlice(slice, facts, NOW_MS), reconcileSlice(slice, facts, NOW_MS)]) {
      const after = patched(slice, patch);
      expect(after.endpoints?.at(-1)?.conditions?.ready).toBe(true);
      expect(after.endpoints?.at(-1)?.hints).toEqual(want);
      expect(after.endpoints?.slice(0, -1)).toEqual(peers);
    }
  });
});

describe('a patch for a slice that has changed since', () => {
  const stranger: Endpoint = { conditions: READY, targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-z', uid: 'uid-z' } };
  const raise = reconcileSlice(makeSlice(), makeFacts(), NOW_MS);
  const lower = reconcileSlice(makeSlice([RAISED]), withPod({ othersReady: false }), NOW_MS);
  const lowerAbsent = reconcileSlice(makeSlice([makeEndpoint({ conditions: {} })]), withPod({ othersReady: false }), NOW_MS);
  const rows: Record<string, { patch: typeof raise; now: EndpointSlice }> = {
    'raise: another endpoint came before': { patch: raise, now: makeSlice([{ ...stranger, conditions: NOT_READY }, makeEndpoint()]) },
    'raise: it is ready already': { patch: raise, now: makeSlice([RAISED]) },
    'raise: it is gone': { patch: raise, now: makeSlice([]) },
    'raise: a new pod took the name': {
      patch: raise,
      now: makeSlice([makeEndpoint({ targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-a', uid: 'uid-n' } })]),
    },
    'lower: another endpoint came before': { patch: lower, now: makeSlice([stranger, RAISED]) },
    'lower: it is lowered already': { patch: lower, now: makeSlice() },
    'lower of an absent ready: it is written now': { patch: lowerAbsent, now: makeSlice([RAISED]) },
  };
  test.each(Object.entries(rows))('%s: refused as a whole', (_what, { patch, now }) => {
    expect(patch.length).toBeGreaterThan(0);
    expect(() => patched(now, patch)).toThrow(/failed|nothing at|no index|no parent/);
  });
});

/* Slices and facts over few names, so that they meet often. */
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined, freq: 12 });
const status = fc.oneof({ weight: 12, arbitrary: fc.constant('True') }, { weight: 1, arbitrary: fc.constantFrom('False', 'Unknown', undefined) });
const mostly = fc.oneof({ weight: 12, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });
const podFacts = (ownUid: string): fc.Arbitrary<PodFacts> =>
  fc.record({
    uid: fc.constantFrom(ownUid, ownUid, ownUid, 'u1'),
    nodeName: maybe(fc.constantFrom('n1', 'n2')),
    traffic: fc.constantFrom(...Array<string>(12).fill('bypassed'), 'meshed', undefined),
    trafficReady: status,
    bypassed: status,
    deleting: mostly.map((yes) => !yes),
    podReady: mostly.map((yes) => !yes),
    othersReady: mostly,
    bypass: maybe(
      fc.record({
        bootID: fc.constantFrom(...Array<string>(8).fill('b1'), 'b2'),
        until: fc.constantFrom(...Array<undefined>(8).fill(undefined), '2026-01-01T00:00:00Z'),
      }),
    ),
  });
const nodeFacts = fc.record({ ready: mostly, bootID: fc.constantFrom(...Array<string>(8).fill('b1'), 'b2'), zone: maybe(fc.constant('z1')) });
const leaseFacts = fc.record({ renewedMs: fc.integer({ min: NOW_MS - 30_000, max: NOW_MS }) });
const factsOf: fc.Arbitrary<EndpointFacts> = fc
  .record({
    pods: fc.record({ 'shop/p1': podFacts('u1'), 'shop/p2': podFacts('u2'), 'shop/p3': podFacts('u3') }, { requiredKeys: ['shop/p1'] }),
    gone: fc.subarray(['u1', 'u2', 'u3']),
    nodes: fc.record({ n1: nodeFacts, n2: nodeFacts }, { requiredKeys: ['n1'] }),
    leases: fc.record({ n1: leaseFacts, n2: leaseFacts }, { requiredKeys: ['n1'] }),
    services: fc.dictionary(
      fc.constant('shop/web'),
      mostly.map((yes) => !yes),
    ),
  })
  .map((content) => makeFacts(content as Parameters<typeof makeFacts>[0]));
const bool = fc.constantFrom(true, false, false, undefined);
const endpointOf = fc
  .record({
    conditions: maybe(fc.record({ ready: bool, serving: bool, terminating: fc.constantFrom(true, false, false, undefined) })),
    targetRef: maybe(
      fc.constantFrom(1, 2, 3).chain((n) =>
        fc.record({
          kind: fc.constantFrom('Pod', 'Pod', 'Pod', 'Node'),
          namespace: fc.constant('shop'),
          name: fc.constant(`p${n}`),
          uid: fc.constantFrom(`u${n}`, `u${n}`, 'u2'),
        }),
      ),
    ),
    nodeName: maybe(fc.constantFrom('n1', 'n2')),
    zone: maybe(fc.constantFrom('z1', 'z2')),
    hints: maybe(fc.record({ forZones: fc.constant([{ name: 'z2' }]) })),
  })
  .map((endpoint) => JSON.parse(JSON.stringify(endpoint)) as Endpoint);
const sliceOf = fc
  .record({ endpoints: fc.array(endpointOf, { maxLength: 5 }), labels: fc.constantFrom({}, {}, {}, { 'endpointslice.kubernetes.io/managed-by': 'me' }) })
  .map(({ endpoints, labels }) => makeSlice(endpoints, labels as Record<string, string>));

describe('whatever the slice and the facts', () => {
  test('an endpoint is raised only while all guards hold, written out once more', () => {
    let raised = 0;
    fc.assert(
      fc.property(sliceOf, factsOf, (slice, facts) => {
        for (const { index, pod } of planSlice(slice, facts, NOW_MS).filter(({ action }) => action === 'raise')) {
          raised += 1;
          const known = facts.pod(pod.namespace, pod.name);
          const node = known?.nodeName ?? '';
          expect(slice.metadata.labels?.['endpointslice.kubernetes.io/managed-by']).toBe('endpointslice-controller.k8s.io');
          expect(slice.endpoints?.[index]).toMatchObject({ targetRef: { kind: 'Pod', uid: known?.uid }, conditions: { ready: false } });
          expect(slice.endpoints?.[index]?.conditions?.terminating).not.toBe(true);
          expect(known).toMatchObject({ traffic: 'bypassed', bypassed: 'True', trafficReady: 'True', deleting: false, othersReady: true });
          expect(known?.bypass?.until).toBeUndefined();
          expect(facts.node(node)).toMatchObject({ ready: true, bootID: known?.bypass?.bootID });
          expect(facts.lease(node)?.renewedMs).toBeGreaterThanOrEqual(NOW_MS - 25_000);
        }
      }),
      { numRuns: 3000 },
    );
    expect(raised).toBeGreaterThan(50);
  });

  test('what is lowered is no endpoint of a pod that is Ready by itself, but for terminating ones', () => {
    let lowered = 0;
    fc.assert(
      fc.property(sliceOf, factsOf, (slice, facts) => {
        for (const { index, action, pod } of planSlice(slice, facts, NOW_MS)) {
          if (action !== 'lower') continue;
          lowered += 1;
          const known = facts.pod(pod.namespace, pod.name);
          const isTerminating = slice.endpoints?.[index]?.conditions?.terminating === true;
          expect(known?.uid === pod.uid && known.podReady && !isTerminating).toBe(false);
          expect(facts.publishesNotReady('shop', 'web')).toBe(false);
        }
      }),
      { numRuns: 3000 },
    );
    expect(lowered).toBeGreaterThan(50);
  });

  test('the patch always applies, and reconciling its outcome changes nothing', () => {
    fc.assert(
      fc.property(sliceOf, factsOf, (slice, facts) => {
        const after = patched(slice, reconcileSlice(slice, facts, NOW_MS));
        expect(reconcileSlice(after, facts, NOW_MS)).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  test('nothing but ready, serving and absent hints of planned endpoints is touched', () => {
    fc.assert(
      fc.property(sliceOf, factsOf, (slice, facts) => {
        const patch = reconcileSlice(slice, facts, NOW_MS);
        const after = patched(slice, patch);
        const planned = new Set(planSlice(slice, facts, NOW_MS).map((change) => change.index));
        const rest = (one: EndpointSlice): unknown => ({
          ...one,
          endpoints: one.endpoints?.map((endpoint, index) => {
            if (!planned.has(index)) return endpoint;
            const { conditions, hints, ...others } = endpoint;
            return { ...others, terminating: conditions?.terminating, hints: slice.endpoints?.[index]?.hints === undefined ? undefined : hints };
          }),
        });
        expect(rest(after)).toEqual(rest(slice));
      }),
      { numRuns: 2000 },
    );
  });

  test('facts that are not synced change nothing', () => {
    fc.assert(
      fc.property(sliceOf, factsOf, (slice, facts) => {
        expect(reconcileSlice(slice, { ...facts, synced: false }, NOW_MS)).toEqual([]);
      }),
    );
  });

  test('a slice without endpoints, as the API server writes it, changes nothing', () => {
    expect(reconcileSlice({ ...makeSlice(), endpoints: null }, makeFacts(), NOW_MS)).toEqual([]);
  });
});

function withoutConditions(): Endpoint {
  const { conditions: _, ...rest } = makeEndpoint();
  return rest;
}
