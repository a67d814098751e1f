import { describe, expect, test } from '@jest/globals';
import { projectNode, projectPod, projectSlice, publishesNotReady } from '../../../../src/adapters/kube/endpoint-projections.ts';
import type { Pod } from '../../../../src/core/pod.ts';
import { BYPASSED_POD, makeBypassedPod, makeEndpoint, makeNode, makeService, makeSlice } from '../../../support/endpoint-scene.ts';

function pod(changes: { spec?: Partial<Pod['spec']>; status?: Partial<NonNullable<Pod['status']>>; metadata?: Pod['metadata'] }): Pod {
  const made = makeBypassedPod();
  return { metadata: { ...made.metadata, ...changes.metadata }, spec: { ...made.spec, ...changes.spec }, status: { ...made.status, ...changes.status } };
}

describe('pod', () => {
  test('a bypassed pod becomes the facts that raise it', () => {
    expect(projectPod(makeBypassedPod())).toEqual(BYPASSED_POD);
  });

  test('a pod without status or labels: nothing speaks for it', () => {
    expect(projectPod({ metadata: { uid: 'u' }, spec: { containers: [{ name: 'app' }] } })).toEqual({
      uid: 'u',
      nodeName: undefined,
      traffic: undefined,
      trafficReady: undefined,
      bypassed: undefined,
      deleting: false,
      podReady: false,
      othersReady: false,
      bypass: undefined,
    });
  });

  const others: Record<string, { pod: Pod; want: boolean }> = {
    'the sidecar alone is not ready': { pod: makeBypassedPod(), want: true },
    'the app is not ready': { pod: makeBypassedPod({ appReady: false }), want: false },
    'the app has no status yet': { pod: pod({ status: { containerStatuses: [] } }), want: false },
    'one of two apps is not ready': {
      pod: pod({
        spec: { containers: [{ name: 'app' }, { name: 'cache' }] },
        status: {
          containerStatuses: [
            { name: 'app', ready: true },
            { name: 'cache', ready: false },
          ],
        },
      }),
      want: false,
    },
    'another restartable init container is not ready': {
      pod: pod({
        spec: { initContainers: [{ name: 'vault-agent', restartPolicy: 'Always' }] },
        status: { initContainerStatuses: [{ name: 'vault-agent', ready: false }] },
      }),
      want: false,
    },
    'another restartable init container is ready': {
      pod: pod({
        spec: { initContainers: [{ name: 'vault-agent', restartPolicy: 'Always' }] },
        status: { initContainerStatuses: [{ name: 'vault-agent', ready: true }] },
      }),
      want: true,
    },
    'an init container that ran to its end is not ready, and need not be': {
      pod: pod({ spec: { initContainers: [{ name: 'migrate' }] }, status: { initContainerStatuses: [{ name: 'migrate', ready: false }] } }),
      want: true,
    },
    'a sidecar as an ordinary container is not ready': {
      pod: pod({
        spec: { containers: [{ name: 'app' }, { name: 'istio-proxy' }] },
        status: {
          containerStatuses: [
            { name: 'app', ready: true },
            { name: 'istio-proxy', ready: false },
          ],
        },
      }),
      want: true,
    },
    'there is nothing but the sidecar': { pod: pod({ spec: { containers: [{ name: 'istio-proxy' }] } }), want: false },
    'a readiness gate of somebody else is False': {
      pod: pod({
        spec: { readinessGates: [{ conditionType: 'target-health.elbv2.k8s.aws/web' }] },
        status: { conditions: [{ type: 'target-health.elbv2.k8s.aws/web', status: 'False' }] },
      }),
      want: false,
    },
    'a readiness gate of somebody else is absent': { pod: pod({ spec: { readinessGates: [{ conditionType: 'example.com/Warm' }] } }), want: false },
    'a readiness gate of somebody else is True': {
      pod: pod({ spec: { readinessGates: [{ conditionType: 'example.com/Warm' }] }, status: { conditions: [{ type: 'example.com/Warm', status: 'True' }] } }),
      want: true,
    },
  };
  test.each(Object.entries(others))('%s', (_what, row) => {
    expect(projectPod(row.pod).othersReady).toBe(row.want);
  });

  const records: Record<string, { text: string | undefined; want: unknown }> = {
    absent: { text: undefined, want: undefined },
    'not JSON': { text: '{', want: undefined },
    'not ours': { text: '{"since":"x"}', want: undefined },
    ended: {
      text: '{"since":"2026-01-01T00:00:00Z","until":"2026-01-01T00:01:00Z","bootID":"b","tlsMode":null,"entries":1}',
      want: { bootID: 'b', until: '2026-01-01T00:01:00Z' },
    },
  };
  test.each(Object.entries(records))('record of the bypass: %s', (_what, { text, want }) => {
    const annotations = text === undefined ? {} : { 'agent.hot-switch.io/bypass': text };
    expect(projectPod(pod({ metadata: { annotations } })).bypass).toEqual(want);
  });
});

test('node: Ready only when the condition is True; zone and boot ID as they stand', () => {
  expect(projectNode(makeNode())).toEqual({ ready: true, bootID: 'boot-1', zone: 'zone-1' });
  expect(projectNode(makeNode('n', { ready: false })).ready).toBe(false);
  expect(projectNode({ metadata: {} })).toEqual({ ready: false, bootID: undefined, zone: undefined });
});

test('service: the field or the old annotation', () => {
  const old = { metadata: { annotations: { 'service.alpha.kubernetes.io/tolerate-unready-endpoints': 'true' } } };
  expect([makeService(true), makeService(false), { metadata: {} }, old].map(publishesNotReady)).toEqual([true, false, false, true]);
});

test('slice: what nobody reads is dropped, what is absent stays absent', () => {
  const wire = {
    ...makeSlice([{ ...makeEndpoint(), addresses: ['10.0.0.1'] } as never, { addresses: ['10.0.0.2'] } as never]),
    ports: [{ port: 80 }],
    addressType: 'IPv4',
  };
  expect(projectSlice(wire)).toEqual(makeSlice([makeEndpoint(), {}]));
  expect(projectSlice({ ...makeSlice(), endpoints: null }).endpoints).toEqual([]);
});
