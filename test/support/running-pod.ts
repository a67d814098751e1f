import { EFFECTIVE_POLICY } from '../../src/api/keys.ts';
import type { PolicyKey } from '../../src/api/policy.ts';
import type { Condition, Pod } from '../../src/core/pod.ts';
import { meshedPod } from './meshed-pod.ts';

const PROXY_UP = { name: 'istio-proxy', ready: true, started: true, restartCount: 0, state: { running: {} } };
const APP_UP = { name: 'app', ready: true, started: true, restartCount: 0, state: { running: {} } };

export interface RunningPodChange {
  readonly metadata?: Partial<Pod['metadata']>;
  readonly status?: Partial<NonNullable<Pod['status']>>;
  readonly policy?: Readonly<Partial<Record<PolicyKey, string>>>;
}

/** A meshed pod that runs, with a policy that allows a bypass, as an agent sees it. */
export function makeRunningPod({ metadata = {}, status = {}, policy = {} }: RunningPodChange = {}): Pod {
  const { annotations, ...others } = metadata;
  return {
    ...meshedPod({
      metadata: {
        name: 'shop-1',
        namespace: 'demo',
        uid: 'uid-1',
        resourceVersion: '1',
        labels: { app: 'shop', 'security.istio.io/tlsMode': 'istio' },
        annotations: { [EFFECTIVE_POLICY]: JSON.stringify({ security: 'allow', ...policy }), ...annotations },
        ...others,
      },
    }),
    status: { phase: 'Running', podIP: '127.0.0.1', containerStatuses: [APP_UP], initContainerStatuses: [PROXY_UP], ...status },
  };
}

/** What a condition says, without its time. */
export function conditionIn(pod: Pod, type: string): Omit<Condition, 'lastTransitionTime' | 'type'> | undefined {
  const found = pod.status?.conditions?.find((condition) => condition.type === `hot-switch.io/${type}`);
  if (found === undefined) return undefined;
  const { status, reason = '', message = '' } = found;
  return { status, reason, message };
}
