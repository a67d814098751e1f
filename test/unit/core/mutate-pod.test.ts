import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { BYPASS_RECORD, EFFECTIVE_POLICY, TRAFFIC_LABEL, TRAFFIC_READY } from '../../../src/api/keys.ts';
import { defaultText, POLICY_KEYS, policyOf } from '../../../src/api/policy.ts';
import { mutatePod } from '../../../src/core/mutate-pod.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { applyPatch } from '../../support/json-patch.ts';
import { meshedPod } from '../../support/meshed-pod.ts';

const DEFAULTS = Object.fromEntries(POLICY_KEYS.map((key) => [key, defaultText(key)]));
const GATE = { conditionType: TRAFFIC_READY };
const OTHER_GATE = { conditionType: 'target-health.elbv2.k8s.aws/web' };
const job = { kind: 'Job', name: 'report', uid: 'u1', controller: true };
const replicaSet = { kind: 'ReplicaSet', name: 'shop', uid: 'u2', controller: true };

function mutated(pod: Pod, namespaceAnnotations = {}): { pod: Pod; warnings: readonly string[] } {
  const { patch, warnings } = mutatePod(pod, namespaceAnnotations);
  return { pod: applyPatch(pod, patch), warnings };
}

function stamped(pod: Pod): Record<string, string> {
  return JSON.parse(pod.metadata.annotations?.[EFFECTIVE_POLICY] ?? 'null') as Record<string, string>;
}

describe('mutatePod leaves alone', () => {
  const untouched: Record<string, Pod> = {
    'a pod without a sidecar': meshedPod({ spec: { initContainers: [] } }),
    'a pod without containers': meshedPod({ spec: { containers: [], initContainers: [] } }),
    'a pod on the network of its node': meshedPod({ spec: { hostNetwork: true } }),
    'a gateway': meshedPod({ spec: { initContainers: [{ name: 'istio-init' }, { name: 'istio-proxy', args: ['proxy', 'router'] }] } }),
    'proxyless gRPC': meshedPod({
      spec: { initContainers: [{ name: 'istio-init' }, { name: 'istio-proxy', env: [{ name: 'DISABLE_ENVOY', value: 'true' }] }] },
    }),
    'interception NONE': meshedPod({
      metadata: { annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } },
      spec: { initContainers: [{ name: 'istio-init' }, { name: 'istio-proxy' }] },
    }),
    'mode off': meshedPod({ metadata: { annotations: { 'hot-switch.io/mode': 'off' } } }),
  };
  test.each(Object.entries(untouched))('%s', (_name, pod) => {
    expect(mutatePod(pod, {})).toEqual({ patch: [], warnings: [] });
  });

  test('mode off of the namespace', () => {
    expect(mutatePod(meshedPod(), { 'hot-switch.io/mode': 'off' })).toEqual({ patch: [], warnings: [] });
  });
});

describe('mutatePod', () => {
  test('gives a meshed pod without any map or list the gate, the policy and the label', () => {
    const { pod, warnings } = mutated(meshedPod());
    expect(pod.spec.readinessGates).toEqual([GATE]);
    expect(pod.metadata.labels).toEqual({ [TRAFFIC_LABEL]: 'meshed' });
    expect(stamped(pod)).toEqual(DEFAULTS);
    expect(warnings).toEqual([]);
  });

  test('stamps compact JSON in the order of the keys, which policyOf reads back', () => {
    const { pod } = mutated(meshedPod({ metadata: { annotations: { 'hot-switch.io/probe-period': '200ms' } } }), { 'hot-switch.io/mode': 'observe' });
    const text = pod.metadata.annotations?.[EFFECTIVE_POLICY] ?? '';
    expect(text).toBe('{"mode":"observe","security":"refuse","probe-period":"200ms","probe-timeout":"1s","success-threshold":"3","min-bypass-duration":"10s"}');
    expect(policyOf(stamped(pod))).toMatchObject({ mode: 'observe', 'probe-period': 200 });
  });

  test("prefers the pod's own value to the namespace's, and keeps the single keys as they are", () => {
    const annotations = { 'hot-switch.io/mode': 'enforce', team: 'shop' };
    const { pod } = mutated(meshedPod({ metadata: { annotations } }), { 'hot-switch.io/mode': 'observe', 'hot-switch.io/success-threshold': '7' });
    expect(stamped(pod)).toMatchObject({ mode: 'enforce', 'success-threshold': '7' });
    expect(pod.metadata.annotations).toMatchObject(annotations);
  });

  test('admits a value that does not parse with a warning and the default', () => {
    const { pod, warnings } = mutated(meshedPod({ metadata: { ownerReferences: [replicaSet], annotations: { 'hot-switch.io/security': 'alow\u001b[31m' } } }), {
      'hot-switch.io/security': 'allow',
      'hot-switch.io/probe-period': '5',
    });
    expect(stamped(pod)).toEqual(DEFAULTS);
    expect(warnings).toEqual([
      'metadata.annotations[hot-switch.io/security]: must be one of "refuse", "allow", not "alow\\u001b[31m"; the default "refuse" is used',
      'namespace annotation[hot-switch.io/probe-period]: must be a duration between 100ms and 1m, e.g. "1s" or "200ms", not "5"; the default "1s" is used',
    ]);
  });

  test("adds its gate after another's, and keeps theirs", () => {
    const { patch } = mutatePod(meshedPod({ spec: { readinessGates: [OTHER_GATE] } }), {});
    expect(patch).toContainEqual({ op: 'add', path: '/spec/readinessGates/-', value: GATE });
    expect(mutated(meshedPod({ spec: { readinessGates: [OTHER_GATE] } })).pod.spec.readinessGates).toEqual([OTHER_GATE, GATE]);
  });

  test('fills an empty list of gates, and does not add its gate twice', () => {
    expect(mutated(meshedPod({ spec: { readinessGates: [] } })).pod.spec.readinessGates).toEqual([GATE]);
    expect(mutated(meshedPod({ spec: { readinessGates: [GATE, OTHER_GATE] } })).pod.spec.readinessGates).toEqual([GATE, OTHER_GATE]);
  });

  test("gives a Job's pod everything but the gate", () => {
    const { pod } = mutated(meshedPod({ metadata: { ownerReferences: [job] } }));
    expect(pod.spec.readinessGates).toBeUndefined();
    expect(pod.metadata.labels).toEqual({ [TRAFFIC_LABEL]: 'meshed' });
    expect(stamped(pod)).toEqual(DEFAULTS);
  });

  test('replaces what a person wrote at its own keys, and says so', () => {
    const metadata = {
      labels: { [TRAFFIC_LABEL]: 'bypassed', app: 'shop' },
      annotations: { [EFFECTIVE_POLICY]: '{"security":"allow"}', [BYPASS_RECORD]: '{}' },
    };
    const { pod, warnings } = mutated(meshedPod({ metadata }));
    expect(pod.metadata.labels).toEqual({ [TRAFFIC_LABEL]: 'meshed', app: 'shop' });
    expect(pod.metadata.annotations).toEqual({ [EFFECTIVE_POLICY]: JSON.stringify(DEFAULTS) });
    expect(warnings).toEqual([
      `metadata.annotations[${EFFECTIVE_POLICY}] is written by hot-switch only; the given value was replaced`,
      `metadata.annotations[${BYPASS_RECORD}] is written by hot-switch only; the given value was removed`,
      `metadata.labels[${TRAFFIC_LABEL}] is written by hot-switch only; the given value was replaced`,
    ]);
  });

  test('with mode off takes out what a copied manifest brought along: nobody would write the condition of the gate', () => {
    const copied = mutated(meshedPod({ metadata: { labels: { app: 'shop' } }, spec: { readinessGates: [OTHER_GATE] } })).pod;
    const off = { ...copied, metadata: { ...copied.metadata, annotations: { ...copied.metadata.annotations, 'hot-switch.io/mode': 'off' } } };
    const { pod } = mutated({ ...off, spec: { ...off.spec, readinessGates: [GATE, OTHER_GATE, GATE] } });
    expect(pod.spec.readinessGates).toEqual([OTHER_GATE]);
    expect(pod.metadata.labels).toEqual({ app: 'shop' });
    expect(pod.metadata.annotations).toEqual({ 'hot-switch.io/mode': 'off' });
  });

  test('survives keys and values that are hostile to JavaScript', () => {
    const annotations = JSON.parse('{"__proto__":"x","constructor":"y","hot-switch.io/constructor":"z"}') as Record<string, string>;
    expect(stamped(mutated(meshedPod({ metadata: { annotations } })).pod)).toEqual(DEFAULTS);
  });
});

const anyText = fc.oneof(fc.constantFrom('enforce', 'observe', 'off', 'refuse', 'allow', '1s', '200ms', '3', '0', ''), fc.string());
const anyKey = fc.oneof(
  fc.constantFrom(...POLICY_KEYS.map((key) => `hot-switch.io/${key}`), EFFECTIVE_POLICY, BYPASS_RECORD, TRAFFIC_LABEL, 'hot-switch.io/failover', 'a~b/c'),
  fc.string(),
);
const anyMap = fc.option(fc.dictionary(anyKey, anyText, { maxKeys: 8 }), { nil: undefined });
const anyPod = fc
  .record({
    annotations: anyMap,
    labels: anyMap,
    owner: fc.constantFrom(undefined, job, replicaSet),
    gates: fc.option(fc.array(fc.constantFrom(GATE, OTHER_GATE), { maxLength: 4 }), { nil: undefined }),
    hostNetwork: fc.boolean(),
  })
  .map(({ annotations, labels, owner, gates, hostNetwork }) =>
    meshedPod({
      metadata: { ...(annotations && { annotations }), ...(labels && { labels }), ...(owner && { ownerReferences: [owner] }) },
      spec: { hostNetwork, ...(gates && { readinessGates: gates }) },
    }),
  );

describe('for any pod and namespace', () => {
  test('the patch applies, and mutating the result changes nothing more', () => {
    fc.assert(
      fc.property(anyPod, anyMap, (pod, namespaceAnnotations) => {
        const once = mutated(pod, namespaceAnnotations).pod;
        expect(mutatePod(once, namespaceAnnotations ?? {}).patch).toEqual([]);
      }),
    );
  });

  test('whatever is not ours stays as it was', () => {
    const others = (map: Readonly<Record<string, string>> | undefined): unknown =>
      Object.entries(map ?? {}).filter(([key]) => ![EFFECTIVE_POLICY, BYPASS_RECORD, TRAFFIC_LABEL].includes(key));
    fc.assert(
      fc.property(anyPod, anyMap, (pod, namespaceAnnotations) => {
        const { pod: once } = mutated(pod, namespaceAnnotations);
        expect(others(once.metadata.annotations)).toEqual(others(pod.metadata.annotations));
        expect(others(once.metadata.labels)).toEqual(others(pod.metadata.labels));
        const theirs = (gates: Pod['spec']['readinessGates']): unknown => (gates ?? []).filter((gate) => gate.conditionType !== TRAFFIC_READY);
        expect(theirs(once.spec.readinessGates)).toEqual(theirs(pod.spec.readinessGates));
      }),
    );
  });
});
