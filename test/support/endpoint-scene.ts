import type { EndpointFacts, LeaseFacts, NodeFacts, PodFacts } from '../../src/core/endpoint-facts.ts';
import type { Endpoint, EndpointSlice, Lease, Node, Service } from '../../src/core/endpoint-slice.ts';
import type { Pod } from '../../src/core/pod.ts';

export const NOW_MS = 1_000_000;

/** A pod that is bypassed, and served by its bypass. */
export const BYPASSED_POD: PodFacts = {
  uid: 'uid-a',
  nodeName: 'node-1',
  traffic: 'bypassed',
  trafficReady: 'True',
  bypassed: 'True',
  deleting: false,
  podReady: false,
  othersReady: true,
  bypass: { bootID: 'boot-1', until: undefined },
};

export const GOOD_NODE: NodeFacts = { ready: true, bootID: 'boot-1', zone: 'zone-1' };

export interface FactsContent {
  synced?: boolean;
  pods?: Record<string, PodFacts>;
  gone?: string[];
  nodes?: Record<string, NodeFacts>;
  leases?: Record<string, LeaseFacts>;
  services?: Record<string, boolean>;
}

/** Facts in which everything speaks for the pod shop/web-a, changed by `content`. */
export function makeFacts(content: FactsContent = {}): EndpointFacts {
  const {
    synced = true,
    pods = { 'shop/web-a': BYPASSED_POD },
    gone = [],
    nodes = { 'node-1': GOOD_NODE },
    leases = { 'node-1': { renewedMs: NOW_MS - 5000 } },
    services = { 'shop/web': false },
  } = content;
  return {
    synced,
    pod: (namespace, name) => pods[`${namespace}/${name}`],
    gone: (uid) => gone.includes(uid),
    node: (name) => nodes[name],
    lease: (name) => leases[name],
    publishesNotReady: (namespace, service) => services[`${namespace}/${service}`],
  };
}

/** The endpoint of shop/web-a as Kubernetes writes it for a pod that is not Ready. */
export function makeEndpoint(changes: Partial<Endpoint> = {}): Endpoint {
  return {
    conditions: { ready: false, serving: false, terminating: false },
    targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-a', uid: 'uid-a' },
    nodeName: 'node-1',
    zone: 'zone-1',
    ...changes,
  };
}

export function makeSlice(endpoints: readonly Endpoint[] = [makeEndpoint()], labels: Record<string, string> = {}): EndpointSlice {
  return {
    metadata: {
      namespace: 'shop',
      name: 'web-x1',
      labels: { 'kubernetes.io/service-name': 'web', 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io', ...labels },
    },
    endpoints,
  };
}

/* The same scene as objects on the wire. */

export interface PodState {
  readonly uid?: string;
  readonly name?: string;
  readonly traffic?: 'meshed' | 'bypassed' | 'blocked' | null;
  readonly trafficReady?: 'True' | 'False';
  readonly appReady?: boolean;
  readonly ready?: boolean;
  readonly deleting?: boolean;
  readonly record?: { readonly bootID?: string; readonly until?: string } | null;
}

/** The pod shop/web-a with a dead sidecar, bypassed. */
export function makeBypassedPod(state: PodState = {}): Pod {
  const { uid = 'uid-a', name = 'web-a', traffic = 'bypassed', trafficReady = 'True', appReady = true, ready = false, deleting = false, record = {} } = state;
  const text = JSON.stringify({ since: '2026-01-01T00:00:00Z', bootID: 'boot-1', tlsMode: 'istio', entries: 1, ...record });
  return {
    metadata: {
      namespace: 'shop',
      name,
      uid,
      labels: traffic === null ? {} : { 'hot-switch.io/traffic': traffic },
      annotations: record === null ? {} : { 'agent.hot-switch.io/bypass': text },
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:01:00Z' } : {}),
    },
    spec: {
      nodeName: 'node-1',
      containers: [{ name: 'app' }],
      initContainers: [{ name: 'istio-init' }, { name: 'istio-proxy', restartPolicy: 'Always' }],
      readinessGates: [{ conditionType: 'hot-switch.io/TrafficReady' }],
    },
    status: {
      conditions: [
        { type: 'Ready', status: ready ? 'True' : 'False' },
        { type: 'hot-switch.io/TrafficReady', status: trafficReady },
        { type: 'hot-switch.io/Bypassed', status: traffic === 'bypassed' ? 'True' : 'False' },
      ],
      containerStatuses: [{ name: 'app', ready: appReady }],
      initContainerStatuses: [
        { name: 'istio-init', ready: true },
        { name: 'istio-proxy', ready },
      ],
    },
  };
}

export function makeNode(name = 'node-1', { ready = true, bootID = 'boot-1' } = {}): Node {
  return {
    metadata: { name, labels: { 'topology.kubernetes.io/zone': 'zone-1' } },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }], nodeInfo: { bootID } },
  };
}

export function makeLease(renewals: number, name = 'node-1'): Lease {
  return { metadata: { namespace: 'kube-node-lease', name }, spec: { renewTime: new Date(renewals * 10_000).toISOString() } };
}

export function makeService(publishNotReadyAddresses = false): Service {
  return { metadata: { namespace: 'shop', name: 'web' }, spec: { publishNotReadyAddresses } };
}
