import { parseBypassRecord } from '../../api/bypass-record.ts';
import { PROXY_CONTAINER } from '../../api/istio.ts';
import { BYPASS_RECORD, BYPASSED, CONDITION_TYPES, TRAFFIC_LABEL, TRAFFIC_READY } from '../../api/keys.ts';
import type { NodeFacts, PodFacts } from '../../core/endpoint-facts.ts';
import type { Endpoint, EndpointSlice, Node, Service } from '../../core/endpoint-slice.ts';
import type { Condition, Pod } from '../../core/pod.ts';

/* From the object on the wire to the few values that are kept of it: a cluster has many, and few of their bytes matter here. */

/** Label with the zone of a node (k8s.io/api/core/v1 LabelTopologyZone). */
const ZONE_LABEL = 'topology.kubernetes.io/zone';
/** Older form of publishNotReadyAddresses (k8s.io/api/core/v1 AnnotationTolerateUnreadyEndpoints), still read by the endpoint-slice controller. */
const TOLERATE_UNREADY = 'service.alpha.kubernetes.io/tolerate-unready-endpoints';

/** What the endpoint decisions read of a pod. */
export function projectPod(pod: Pod): PodFacts {
  const conditions = pod.status?.conditions;
  const record = parseBypassRecord(pod.metadata.annotations?.[BYPASS_RECORD]);
  return {
    uid: pod.metadata.uid ?? '',
    nodeName: pod.spec.nodeName,
    traffic: pod.metadata.labels?.[TRAFFIC_LABEL],
    trafficReady: statusOf(conditions, TRAFFIC_READY),
    bypassed: statusOf(conditions, BYPASSED),
    deleting: pod.metadata.deletionTimestamp !== undefined,
    podReady: statusOf(conditions, 'Ready') === 'True',
    othersReady: areOthersReady(pod),
    bypass: record === undefined ? undefined : { bootID: record.bootID, until: record.until },
  };
}

/** What the endpoint decisions read of a node. */
export function projectNode(node: Node): NodeFacts {
  return {
    ready: statusOf(node.status?.conditions, 'Ready') === 'True',
    bootID: node.status?.nodeInfo?.bootID,
    zone: node.metadata.labels?.[ZONE_LABEL],
  };
}

/** Whether the Service wants endpoints that are not ready, as the endpoint-slice controller reads it. */
export function publishesNotReady(service: Service): boolean {
  return service.spec?.publishNotReadyAddresses === true || service.metadata.annotations?.[TOLERATE_UNREADY] === 'true';
}

/** An EndpointSlice without what nobody here reads (addresses, ports, managed fields). */
export function projectSlice({ metadata, endpoints }: EndpointSlice): EndpointSlice {
  const { name, namespace, uid, resourceVersion, labels } = metadata;
  return { metadata: defined({ name, namespace, uid, resourceVersion, labels }), endpoints: (endpoints ?? []).map(projectEndpoint) };
}

function projectEndpoint({ conditions, targetRef, nodeName, zone, hints }: Endpoint): Endpoint {
  return defined({ conditions, targetRef, nodeName, zone, hints });
}

/**
 * Whether the pod would be ready but for its sidecar: kubelet's own rule (k8s.io/kubernetes/pkg/kubelet/status/generate.go)
 * over every container and restartable init container but istio-proxy, and every readiness gate but ours.
 */
function areOthersReady({ spec, status }: Pod): boolean {
  const containers = spec.containers.filter((container) => container.name !== PROXY_CONTAINER);
  const sidecars = (spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always' && container.name !== PROXY_CONTAINER);
  const gates = (spec.readinessGates ?? []).filter((gate) => !CONDITION_TYPES.some((type) => type === gate.conditionType));
  const statuses = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const ready = new Set(statuses.flatMap((container) => (container.ready === true ? [container.name] : [])));
  return (
    containers.length > 0 &&
    [...containers, ...sidecars].every((container) => ready.has(container.name)) &&
    gates.every((gate) => statusOf(status?.conditions, gate.conditionType) === 'True')
  );
}

function statusOf(conditions: readonly Condition[] | undefined, type: string): string | undefined {
  return conditions?.find((condition) => condition.type === type)?.status;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}
