/** What is known about the objects around an endpoint; undefined always means unknown. */
export interface EndpointFacts {
  /** False until every cache behind it was filled once; nothing is decided before. */
  readonly synced: boolean;
  /** A pod of ours (it carries the traffic label). */
  pod(namespace: string, name: string): PodFacts | undefined;
  /** Whether a pod of ours with this UID, which was not Ready by itself, was seen to go a short while ago. */
  gone(uid: string): boolean;
  node(name: string): NodeFacts | undefined;
  /** kubelet's own Lease of the node (namespace kube-node-lease). */
  lease(node: string): LeaseFacts | undefined;
  /** Whether the Service wants the addresses of pods that are not ready, too. */
  publishesNotReady(namespace: string, service: string): boolean | undefined;
}

export interface PodFacts {
  readonly uid: string;
  readonly nodeName: string | undefined;
  /** Value of the label hot-switch.io/traffic. */
  readonly traffic: string | undefined;
  /** Status of the conditions of ours: `True`, `False`, `Unknown`; undefined when absent. */
  readonly trafficReady: string | undefined;
  readonly bypassed: string | undefined;
  /** deletionTimestamp is set. */
  readonly deleting: boolean;
  /** The pod's own condition Ready is True: Kubernetes' judgement. */
  readonly podReady: boolean;
  /** Every container but istio-proxy is ready, and every readiness gate but ours is True. */
  readonly othersReady: boolean;
  /** Record of the running or last bypass. */
  readonly bypass: { readonly bootID: string; readonly until: string | undefined } | undefined;
}

export interface NodeFacts {
  /** Its condition Ready is True. */
  readonly ready: boolean;
  readonly bootID: string | undefined;
  readonly zone: string | undefined;
}

export interface LeaseFacts {
  /** When this process saw renewTime change, by its own clock; the first sight counts. */
  readonly renewedMs: number;
}

/** The node that the pod runs on, as far as it is known. */
export function nodeOf(pod: PodFacts, facts: EndpointFacts): NodeFacts | undefined {
  return pod.nodeName === undefined ? undefined : facts.node(pod.nodeName);
}
