import { startCluster, stopCluster, logTails, type Cluster } from '../cluster/cluster.ts';
import { startHotSwitch, type HotSwitch } from '../cluster/hot-switch.ts';
import { until } from '../cluster/host.ts';
import { TRAFFIC_LABEL } from '../../src/api/keys.ts';
import type { Condition, Pod } from '../../src/core/pod.ts';

export interface Lab {
  readonly cluster: Cluster;
  readonly hotSwitch: HotSwitch;
  end(): Promise<void>;
}

/** A fresh cluster with hot-switch on it, for one test file; each file runs in namespaces of its own. */
export async function startLab(options: { readonly allowNamespaces?: readonly string[] } = {}): Promise<Lab> {
  const cluster = await startCluster();
  const hotSwitch = await startHotSwitch(cluster, options);
  return {
    cluster,
    hotSwitch,
    end: async () => {
      if (process.env['HOT_SWITCH_SHOW_LOGS'] === '1')
        process.stderr.write(logTails(cluster, ['hot-switch-agent', 'hot-switch-controller', 'hot-switch-webhook'], 6000));
      await hotSwitch.stop();
      await stopCluster(cluster);
    },
  };
}

export function condition(pod: Pod, type: string): Condition | undefined {
  return pod.status?.conditions?.find((entry) => entry.type === `hot-switch.io/${type}` || entry.type === type);
}

export function traffic(pod: Pod): string | undefined {
  return pod.metadata.labels?.[TRAFFIC_LABEL];
}

export function restarts(pod: Pod, container: string): number | undefined {
  return [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find((status) => status.name === container)?.restartCount;
}

/** Waits until the pod is as wanted. */
export async function untilPod(what: string, timeoutMs: number, read: () => Promise<Pod>, wanted: (pod: Pod) => boolean): Promise<Pod> {
  let last: Pod | undefined;
  try {
    return await until(what, timeoutMs, async () => {
      last = await read();
      return wanted(last) ? last : undefined;
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}; the pod: ${JSON.stringify({ labels: last?.metadata.labels, conditions: last?.status?.conditions })}`, {
      cause: error,
    });
  }
}

export interface EndpointState {
  readonly ready: boolean;
  readonly serving: boolean | undefined;
  readonly terminating: boolean | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string;
}

/** Every endpoint of a Service as its slices tell. */
export async function endpointsOf(cluster: Cluster, namespace: string, service: string): Promise<readonly EndpointState[]> {
  const list = JSON.parse(await cluster.kubectl('get', 'endpointslices', '-n', namespace, '-l', `kubernetes.io/service-name=${service}`, '-o', 'json')) as {
    items: {
      metadata: { resourceVersion: string };
      endpoints?: { conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean }; targetRef?: { uid?: string } }[];
    }[];
  };
  return list.items.flatMap(({ metadata, endpoints }) =>
    (endpoints ?? []).map(({ conditions, targetRef }) => ({
      ready: conditions?.ready ?? true,
      serving: conditions?.serving,
      terminating: conditions?.terminating,
      uid: targetRef?.uid,
      resourceVersion: metadata.resourceVersion,
    })),
  );
}
