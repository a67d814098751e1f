import { describe, expect, test } from '@jest/globals';
import type { ContainerStatus, Pod } from '../../../src/core/pod.ts';
import { endpointsLine, isReady, podLine, restartsOf, type Endpoint } from '../../demo/pod-line.ts';

const RUNNING = { running: { startedAt: '2026-01-01T00:00:00Z' } };
const ENDED = { terminated: { reason: 'Completed', exitCode: 0 } };
const BACK_OFF = { waiting: { reason: 'CrashLoopBackOff' } };

function status(name: string, state: ContainerStatus['state'], ready: boolean, restartCount: number): ContainerStatus {
  return { name, ready, restartCount, ...(state && { state }) };
}

/** With a native sidecar, unless the sidecar is given among the containers. */
function pod(app: ContainerStatus | undefined, sidecar: ContainerStatus | undefined, metadata: Pod['metadata'] = {}): Pod {
  return {
    metadata,
    spec: { containers: [] },
    status: {
      initContainerStatuses: [status('istio-init', ENDED, true, 0), ...(sidecar ? [sidecar] : [])],
      containerStatuses: app ? [app] : [],
    },
  };
}

const PODS: Readonly<Record<string, { readonly pod: Pod; readonly want: string }>> = {
  'a pod that goes': {
    pod: pod(undefined, undefined, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    want: 'is being deleted',
  },
  'a pod of which nothing is known': { pod: { metadata: {}, spec: { containers: [] } }, want: 'app waiting (0 restarts), sidecar waiting (0)' },
  'a dead sidecar, bypassed': {
    pod: pod(status('shop', RUNNING, true, 0), status('istio-proxy', ENDED, false, 3), { labels: { 'hot-switch.io/traffic': 'bypassed' } }),
    want: 'app ready (0 restarts), sidecar down (3), bypassed',
  },
  'an app that was taken down by its liveness probe': {
    pod: pod(status('shop', BACK_OFF, false, 1), status('istio-proxy', RUNNING, false, 2)),
    want: 'app CrashLoopBackOff (1 restart), sidecar not ready (2)',
  },
  'a sidecar that is a container like others': {
    pod: {
      metadata: {},
      spec: { containers: [] },
      status: { containerStatuses: [status('istio-proxy', BACK_OFF, false, 1), status('shop', RUNNING, true, 0)] },
    },
    want: 'app ready (0 restarts), sidecar CrashLoopBackOff (1)',
  },
};

describe('podLine', () => {
  test.each(Object.entries(PODS))('%s', (_, { pod, want }) => {
    expect(podLine(pod)).toBe(want);
  });
});

test('restartsOf counts app and sidecar apart, over all pods, and no init container', () => {
  const pods = [
    pod(status('shop', RUNNING, true, 2), status('istio-proxy', ENDED, false, 3)),
    pod(status('shop', RUNNING, true, 1), status('istio-proxy', ENDED, false, 4)),
  ];
  expect(restartsOf(pods)).toEqual({ app: 3, sidecar: 7 });
  expect(restartsOf([])).toEqual({ app: 0, sidecar: 0 });
});

test('isReady is what Kubernetes says, and nothing known is not ready', () => {
  const withReady = (value: string): Pod => ({ metadata: {}, spec: { containers: [] }, status: { conditions: [{ type: 'Ready', status: value }] } });
  expect([withReady('True'), withReady('False'), withReady('Unknown'), { metadata: {}, spec: { containers: [] } }].map(isReady)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

const ENDPOINTS: Readonly<Record<string, { readonly endpoints: readonly Endpoint[]; readonly want: string }>> = {
  none: { endpoints: [], want: 'none' },
  'one that is out': { endpoints: [{ addresses: ['198.18.0.2'], conditions: { ready: false } }], want: 'none ready; 198.18.0.2 is out' },
  'one that is ready': { endpoints: [{ addresses: ['198.18.0.2'], conditions: { ready: true } }], want: '198.18.0.2 ready' },
  'an absent condition means ready': { endpoints: [{ addresses: ['198.18.0.2'] }], want: '198.18.0.2 ready' },
  'both kinds': {
    endpoints: [
      { addresses: ['198.18.0.4'], conditions: { ready: true } },
      { addresses: ['198.18.0.2'], conditions: { ready: false } },
      { addresses: ['198.18.0.3'], conditions: { ready: true } },
    ],
    want: '198.18.0.3, 198.18.0.4 ready; 198.18.0.2 is out',
  },
};

describe('endpointsLine', () => {
  test.each(Object.entries(ENDPOINTS))('%s', (_, { endpoints, want }) => {
    expect(endpointsLine(endpoints)).toBe(want);
  });
});
