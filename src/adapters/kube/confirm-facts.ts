import { NODE_LEASE_NAMESPACE } from '../../api/kubernetes.ts';
import type { EndpointFacts, PodFacts } from '../../core/endpoint-facts.ts';
import type { Lease, PodReference } from '../../core/endpoint-slice.ts';
import type { Pod } from '../../core/pod.ts';
import type { Logger } from '../../runtime/logger.ts';
import { projectPod } from './endpoint-projections.ts';
import type { LeaseAges } from './lease-ages.ts';
import { ApiError } from './transport.ts';
import type { KubeApi } from './transport.ts';

interface Sources {
  readonly api: Pick<KubeApi, 'get'>;
  readonly log: Logger;
  readonly live: EndpointFacts;
  readonly leases: LeaseAges;
}

type Read<T> = { readonly kind: 'there'; readonly value: T } | { readonly kind: 'absent' | 'unknown' };

/** A read that serves no purpose any more when it takes longer. */
const READ_TIMEOUT_MS = 2000;
const PARALLEL_MAX = 16;

/**
 * The live facts with the given pods, and the Leases of their nodes, read anew from the API server.
 * A watch may be behind, or silent on a dead connection, without knowing it; taking an endpoint out must not rest on that.
 */
export async function confirmFacts(sources: Sources, references: readonly PodReference[], signal: AbortSignal): Promise<EndpointFacts> {
  const { api, log, live, leases } = sources;
  const read = <T>(path: string): Promise<Read<T>> => readObject<T>({ api, log }, path, signal);
  const pods = new Map<string, Read<PodFacts>>();
  await inBatches(references, async ({ namespace, name }) => {
    const pod = await read<Pod>(`/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`);
    pods.set(`${namespace}/${name}`, pod.kind === 'there' ? { kind: 'there', value: projectPod(pod.value) } : pod);
  });
  const nodes = new Set([...pods.values()].flatMap((pod) => (pod.kind === 'there' && pod.value.nodeName !== undefined ? [pod.value.nodeName] : [])));
  const unreadLeases = new Set<string>();
  await inBatches([...nodes], async (node) => {
    const lease = await read<Lease>(`/apis/coordination.k8s.io/v1/namespaces/${NODE_LEASE_NAMESPACE}/leases/${encodeURIComponent(node)}`);
    if (lease.kind === 'there' && lease.value.spec?.renewTime !== undefined) leases.observe(node, lease.value.spec.renewTime);
    if (lease.kind === 'unknown') unreadLeases.add(node);
  });
  /** Undefined for a pod that was not asked about. */
  const podRead = (namespace: string, name: string): Read<PodFacts> | undefined => {
    const pod = pods.get(`${namespace}/${name}`);
    // Without its Lease a pod cannot be judged either.
    return pod?.kind === 'there' && unreadLeases.has(pod.value.nodeName ?? '') ? { kind: 'unknown' } : pod;
  };
  const goneUids = new Set(
    references.flatMap(({ namespace, name, uid }) => {
      const pod = podRead(namespace, name);
      return pod?.kind === 'absent' || (pod?.kind === 'there' && pod.value.uid !== uid) ? [uid] : [];
    }),
  );
  const asked = new Set(references.map(({ uid }) => uid));
  return {
    get synced() {
      return live.synced;
    },
    pod: (namespace, name) => {
      const pod = podRead(namespace, name);
      if (pod === undefined) return live.pod(namespace, name);
      return pod.kind === 'there' ? pod.value : undefined;
    },
    gone: (uid) => (asked.has(uid) ? goneUids.has(uid) : live.gone(uid)),
    node: (name) => live.node(name),
    lease: (node) => live.lease(node),
    publishesNotReady: (namespace, service) => live.publishesNotReady(namespace, service),
  };
}

async function readObject<T>({ api, log }: Pick<Sources, 'api' | 'log'>, path: string, signal: AbortSignal): Promise<Read<T>> {
  try {
    return { kind: 'there', value: await api.get<T>(path, { signal, timeoutMs: READ_TIMEOUT_MS }) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { kind: 'absent' };
    log.warn('cannot read an object anew; it stays unknown', { path, error });
    return { kind: 'unknown' };
  }
}

async function inBatches<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += PARALLEL_MAX) await Promise.all(items.slice(start, start + PARALLEL_MAX).map(work));
}
