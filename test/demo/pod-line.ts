import { PROXY_CONTAINER } from '../../src/api/istio.ts';
import { TRAFFIC_LABEL } from '../../src/api/keys.ts';
import type { ContainerStatus, Pod } from '../../src/core/pod.ts';

/** An endpoint of an EndpointSlice, as on the wire. */
export interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean };
}

/** A pod in one line: the containers by what they do and how often they were restarted, and how its traffic goes if hot-switch says so. */
export function podLine(pod: Pod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'is being deleted';
  const statuses = statusesOf(pod);
  const app = statuses.find(({ name }) => name !== PROXY_CONTAINER);
  const sidecar = statuses.find(({ name }) => name === PROXY_CONTAINER);
  const restarts = app?.restartCount ?? 0;
  const parts = [
    `app ${stateOf(app)} (${restarts} ${restarts === 1 ? 'restart' : 'restarts'})`,
    `sidecar ${stateOf(sidecar)} (${sidecar?.restartCount ?? 0})`, // the word once: the line has to fit
  ];
  const traffic = pod.metadata.labels?.[TRAFFIC_LABEL];
  return [...parts, ...(traffic === undefined ? [] : [traffic])].join(', ');
}

/** The addresses behind a Service in one line, those that get traffic first. */
export function endpointsLine(endpoints: readonly Endpoint[]): string {
  // An absent condition means ready (k8s.io/api/discovery/v1, EndpointConditions).
  const [ready, out] = [true, false].map((want) => endpoints.filter(({ conditions }) => (conditions?.ready ?? true) === want).flatMap((one) => one.addresses));
  const listed = (addresses: readonly string[] = []): string => addresses.toSorted().join(', ');
  if (endpoints.length === 0) return 'none';
  return [listed(ready) === '' ? 'none ready' : `${listed(ready)} ready`, ...(listed(out) === '' ? [] : [`${listed(out)} is out`])].join('; ');
}

/** How often the containers of the app, and the sidecar, were restarted. */
export function restartsOf(pods: readonly Pod[]): { readonly app: number; readonly sidecar: number } {
  const sum = (wanted: boolean): number =>
    pods
      .flatMap(statusesOf)
      .filter(({ name }) => (name === PROXY_CONTAINER) === wanted)
      .reduce((total, { restartCount = 0 }) => total + restartCount, 0);
  return { app: sum(false), sidecar: sum(true) };
}

/** Whether Kubernetes calls the pod ready. */
export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** Of the containers that run for as long as the pod: the app's, and the sidecar wherever the injector put it. */
function statusesOf(pod: Pod): readonly ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []).filter(({ name }) => name === PROXY_CONTAINER), ...(pod.status?.containerStatuses ?? [])];
}

function stateOf(status: ContainerStatus | undefined): string {
  const { running, waiting, terminated } = status?.state ?? {};
  if (running !== undefined) return status?.ready === true ? 'ready' : 'not ready';
  // Of a native sidecar in back-off, kubelet shows how the last one ended: 'Completed', since pilot-agent exits with 0 when Envoy is killed.
  return terminated === undefined ? (waiting?.reason ?? 'waiting') : 'down';
}
