import { HEALTH_PORT, INBOUND_PORT, PROXY_CONTAINER } from '../api/istio.ts';
import type { Condition, ContainerStatus, Pod } from './pod.ts';
import { PROXY_HEALTHY, TRAFFIC_LABEL, TRAFFIC_READY } from '../api/keys.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import type { ListenersReading } from './proc-net.ts';

/** What the last health probe of port 15021 gave; ended: it was good, and then the other side ended the held connection. */
export type ProbeResult = { readonly kind: 'none' } | { readonly kind: 'ok' } | { readonly kind: 'ended' } | { readonly kind: 'failed'; readonly why: string };

/** What is known of the sidecar, and the evidence in words. */
export interface Observation {
  readonly proxy: 'healthy' | 'dead' | 'unresponsive' | 'starting' | 'unknown';
  readonly evidence: string;
}

/**
 * Judges the sidecar. Dead is proof: nothing in the pod's network namespace listens on 15021 nor on 15006 any more, and it was up before.
 * A container's status alone proves nothing: it is late, may be stale, and a restarted sidecar may answer already.
 * Nor does the end of a connection: while something listens, a `last` seen healthy holds until the next probe.
 */
export function observe(probe: ProbeResult, listeners: ListenersReading | undefined, wasUp: boolean, last?: Observation): Observation {
  if (probe.kind === 'ok') return { proxy: 'healthy', evidence: `port ${HEALTH_PORT} answers` };
  if (listeners === undefined || !listeners.known) {
    const why = listeners === undefined ? 'the network namespace of the pod was not found' : listeners.why;
    return { proxy: 'unknown', evidence: `the sockets of the pod could not be read: ${why}` };
  }
  const ports = new Set(listeners.listeners.map((listener) => listener.port));
  const missing = [HEALTH_PORT, INBOUND_PORT].filter((port) => !ports.has(port));
  if (missing.length === 2) {
    const evidence = `nothing in the pod listens on ${HEALTH_PORT} and ${INBOUND_PORT}`;
    return wasUp ? { proxy: 'dead', evidence: `${evidence} any more` } : { proxy: 'starting', evidence: `${evidence} yet` };
  }
  if (probe.kind === 'ended' && last?.proxy === 'healthy') return last;
  if (!wasUp) return { proxy: 'starting', evidence: probeText(probe) };
  if (probe.kind === 'none') return { proxy: 'unknown', evidence: probeText(probe) };
  return { proxy: 'unresponsive', evidence: missing.length === 0 ? probeText(probe) : `nothing in the pod listens on ${missing.join(', ')}` };
}

function probeText(probe: ProbeResult): string {
  if (probe.kind === 'ended') return `port ${HEALTH_PORT}: the connection ended`;
  return probe.kind === 'failed' ? `port ${HEALTH_PORT}: ${probe.why}` : `port ${HEALTH_PORT} was not probed yet`;
}

/** Whether the pod's own status tells that its sidecar was up before, for an agent that has not seen it itself. */
export function wasUpBefore(pod: Pod): boolean {
  const proxy = proxyStatus(pod);
  if (proxy?.started === true || (proxy?.restartCount ?? 0) > 0) return true;
  const health = conditionOf(pod, PROXY_HEALTHY);
  return health?.status === 'True' || health?.status === 'False';
}

/** What the pod's own status says of why it has no working path, for an agent that was started again. */
export function blockedBefore(pod: Pod): { readonly reason: Reason; readonly message: string } | undefined {
  if (pod.metadata.labels?.[TRAFFIC_LABEL] !== 'blocked') return undefined;
  const ready = conditionOf(pod, TRAFFIC_READY);
  const reason = ready?.reason ?? '';
  return Object.hasOwn(REASONS, reason) ? { reason: reason as Reason, message: ready?.message ?? '' } : undefined;
}

/** Why what happens to the sidecar now belongs to a planned end or start; undefined when nothing is planned. */
export function plannedOf(pod: Pod): string | undefined {
  if (pod.metadata.deletionTimestamp !== undefined) return 'the pod is being deleted';
  if (hasEnded(pod)) return `the pod has ended (${pod.status?.phase})`;
  const apps = appStatuses(pod);
  const mayEnd = pod.spec.restartPolicy !== undefined && pod.spec.restartPolicy !== 'Always';
  if (mayEnd && apps.length > 0 && apps.every((status) => status.state?.terminated !== undefined)) return 'the application has run to its end';
  return undefined;
}

/** Whether no container of the pod will ever run again: its address may be another pod's by now. */
export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** False when kubelet tells that no container of the application runs; a status may be a second late. */
export function appRuns(pod: Pod): boolean {
  const apps = appStatuses(pod);
  return apps.length === 0 || apps.some((status) => status.state === undefined || status.state.running !== undefined);
}

function appStatuses(pod: Pod): readonly ContainerStatus[] {
  return (pod.status?.containerStatuses ?? []).filter((status) => status.name !== PROXY_CONTAINER);
}

/** The status of istio-proxy, wherever it runs. */
export function proxyStatus(pod: Pod): ContainerStatus | undefined {
  const all = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return all.find((status) => status.name === PROXY_CONTAINER);
}

/** A condition of the pod by its type. */
export function conditionOf(pod: Pod, type: string): Condition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}
