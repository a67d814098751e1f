import { nodeOf } from './endpoint-facts.ts';
import type { EndpointFacts, LeaseFacts, PodFacts } from './endpoint-facts.ts';
import { isKubernetesOwn, podOf, readsReady, serviceOf } from './endpoint-slice.ts';
import type { Endpoint, EndpointSlice, PodReference } from './endpoint-slice.ts';
import type { Traffic } from '../api/keys.ts';

const BYPASSED_TRAFFIC: Traffic = 'bypassed';

/** kubelet renews its Lease every 10 s (nodeLeaseDurationSeconds / 4 of k8s.io/kubernetes/pkg/kubelet); two missed renewals and some slack. */
export const LEASE_FRESH_MS = 25_000;

export interface Verdict {
  /** What to do with the endpoint's `ready`. */
  readonly action: 'raise' | 'lower' | 'keep';
  /** Constant sentence, for logs. */
  readonly reason: string;
}

/** What one guard of the raise says: undefined when it holds, else why it does not. */
type Guard = (scene: Scene) => string | undefined;
interface Scene {
  readonly endpoint: Endpoint;
  readonly pod: PodFacts;
  readonly facts: EndpointFacts;
  readonly nowMs: number;
}

/** An endpoint is raised only while every guard holds; the first that does not is the reason in the log. */
const GUARDS: readonly Guard[] = [
  ({ endpoint }) => unless(endpoint.conditions?.terminating !== true, 'the endpoint is terminating'),
  ({ pod }) => unless(!pod.deleting, 'the pod is being deleted'),
  ({ pod }) => unless(pod.traffic === BYPASSED_TRAFFIC && pod.bypassed === 'True', 'the pod is not bypassed'),
  ({ pod }) => unless(pod.trafficReady === 'True', 'traffic has no working path'),
  ({ pod }) => unless(pod.bypass !== undefined, 'the pod has no record of a bypass'),
  ({ pod }) => unless(pod.bypass?.until === undefined, 'the bypass has ended'),
  ({ pod }) => unless(pod.othersReady, 'another container or readiness gate is not ready'),
  ({ pod, facts }) => unless(nodeOf(pod, facts)?.ready === true, 'the node is not Ready'),
  // The rules that were cleared are gone with the boot they were cleared in.
  ({ pod, facts }) => unless(nodeOf(pod, facts)?.bootID === pod.bypass?.bootID, 'the node was booted since the bypass'),
  ({ pod, facts, nowMs }) => unless(isFresh(leaseOf(pod, facts), nowMs), 'the Lease of kubelet is stale'),
];

/**
 * What must become of one endpoint of the slice, and why.
 * Raises what a bypass serves; lowers what a bypass once raised and no longer holds; everything else is Kubernetes' own business.
 */
export function verdictOf(endpoint: Endpoint, slice: EndpointSlice, facts: EndpointFacts, nowMs: number): Verdict {
  if (!facts.synced) return keep('the caches are not synced');
  if (!isKubernetesOwn(slice)) return keep('the slice is not managed by the endpoint-slice controller');
  const reference = podOf(endpoint, slice);
  if (reference === undefined) return keep('the endpoint names no pod');
  const known = facts.pod(reference.namespace, reference.name);
  // Another UID is another pod: either cache may be behind the other, so neither is judged by it.
  const pod = known?.uid === reference.uid ? known : undefined;
  const broken = pod === undefined ? 'the pod is not known' : brokenGuard({ endpoint, pod, facts, nowMs });
  if (!readsReady(endpoint)) return broken === undefined ? { action: 'raise', reason: 'the pod is bypassed' } : keep(broken);
  return broken === undefined ? keep('ready, and the bypass holds') : whetherToLower(endpoint, slice, { facts, reference, pod, broken });
}

interface Suspect {
  readonly facts: EndpointFacts;
  readonly reference: PodReference;
  readonly pod: PodFacts | undefined;
  /** The guard that does not hold. */
  readonly broken: string;
}

function whetherToLower(endpoint: Endpoint, slice: EndpointSlice, { facts, reference, pod, broken }: Suspect): Verdict {
  const service = serviceOf(slice);
  const publishes = service === undefined ? undefined : facts.publishesNotReady(slice.metadata.namespace ?? reference.namespace, service);
  if (publishes === undefined) return keep('the Service is not known');
  if (publishes) return keep('the Service publishes addresses that are not ready');
  if (pod === undefined) return facts.gone(reference.uid) ? { action: 'lower', reason: 'the pod is gone' } : keep(broken);
  // Kubernetes itself never calls a terminating endpoint ready, except where the Service publishes all.
  if (endpoint.conditions?.terminating === true) return { action: 'lower', reason: broken };
  if (pod.podReady) return keep('the pod is Ready by itself');
  // Its ready:true may be Kubernetes' own, written the moment before our cache hears that the pod became Ready.
  if (!wasBypassed(pod)) return keep('the pod was never bypassed');
  return { action: 'lower', reason: broken };
}

/** Whether the pod bears any trace of a bypass, running or ended: only such a pod can have been raised. */
export function wasBypassed(pod: PodFacts): boolean {
  return pod.traffic === BYPASSED_TRAFFIC || pod.bypassed === 'True' || pod.bypass !== undefined;
}

/** Whether an endpoint of the slice reads ready though its pod, once bypassed, is not Ready by itself: only we can have raised it, so it is ours to watch. */
export function standsRaised(slice: EndpointSlice, facts: EndpointFacts): boolean {
  return (slice.endpoints ?? []).some((endpoint) => {
    const reference = podOf(endpoint, slice);
    if (reference === undefined || !readsReady(endpoint)) return false;
    const pod = facts.pod(reference.namespace, reference.name);
    return pod?.uid === reference.uid ? wasBypassed(pod) && !pod.podReady : facts.gone(reference.uid);
  });
}

/** Whether kubelet's Lease was renewed lately; an unknown Lease is not fresh. */
export function isFresh(lease: LeaseFacts | undefined, nowMs: number): boolean {
  return lease !== undefined && nowMs - lease.renewedMs <= LEASE_FRESH_MS;
}

function brokenGuard(scene: Scene): string | undefined {
  for (const guard of GUARDS) {
    const broken = guard(scene);
    if (broken !== undefined) return broken;
  }
  return undefined;
}

function unless(holds: boolean, why: string): string | undefined {
  return holds ? undefined : why;
}

function leaseOf(pod: PodFacts, facts: EndpointFacts): LeaseFacts | undefined {
  return pod.nodeName === undefined ? undefined : facts.lease(pod.nodeName);
}

function keep(reason: string): Verdict {
  return { action: 'keep', reason };
}
