import { isDeepStrictEqual } from 'node:util';
import { TRAFFIC_LABEL } from '../../api/keys.ts';
import { NODE_LEASE_NAMESPACE } from '../../api/kubernetes.ts';
import type { EndpointFacts, NodeFacts, PodFacts } from '../../core/endpoint-facts.ts';
import type { Lease, PodReference } from '../../core/endpoint-slice.ts';
import type { Pod } from '../../core/pod.ts';
import type { Logger } from '../../runtime/logger.ts';
import { confirmFacts } from './confirm-facts.ts';
import { noticeReturns } from './contact.ts';
import { projectNode, projectPod, publishesNotReady } from './endpoint-projections.ts';
import { createLeaseAges, SYSTEM_CLOCK } from './lease-ages.ts';
import type { Clock } from './lease-ages.ts';
import { createPodGroups } from './pod-groups.ts';
import { createReflector } from './reflector.ts';
import type { KubeApi } from './transport.ts';

export interface EndpointFactsSource {
  start(): void;
  stop(): Promise<void>;
  readonly synced: boolean;
  /** Resolves once every cache was filled; rejects when the signal is aborted before. */
  whenSynced(signal?: AbortSignal): Promise<void>;
  /** A live view of the caches: every call on it answers from what is known at that moment. */
  facts(): EndpointFacts;
  /** The same, with these pods and the Leases of their nodes read anew; what cannot be read becomes unknown. */
  confirm(pods: readonly PodReference[], signal: AbortSignal): Promise<EndpointFacts>;
}

export interface EndpointFactsOptions {
  readonly api: KubeApi;
  readonly log: Logger;
  /** Called when something changed that a verdict about this pod reads; without a name, about any pod of the namespace. */
  readonly onChange?: (namespace: string, podName: string | undefined) => void;
  readonly clock?: Clock;
}

/** Watches everything that the verdicts about endpoints read: pods of ours, nodes, kubelets' Leases and Services. */
export function createEndpointFacts(options: EndpointFactsOptions): EndpointFactsSource {
  const { log, onChange = () => undefined, clock = SYSTEM_CLOCK } = options;
  const leases = createLeaseAges(clock);
  const api = noticeReturns(options.api, () => leases.startAnew());
  const groups = createPodGroups(clock.steadyMs);
  const onNode = (node: string): void => {
    for (const { namespace, name } of groups.onNode(node)) onChange(namespace, name);
  };
  const pods = createReflector<PodFacts>({
    api,
    log,
    path: '/api/v1/pods',
    labelSelector: TRAFFIC_LABEL,
    project: (raw) => projectPod(raw as Pod),
    onChange: (key, now, before) => {
      if (isDeepStrictEqual(now, before)) return;
      const [namespace, name] = splitKey(key);
      groups.changed({ namespace, name }, now, before);
      onChange(namespace, name);
    },
  });
  const nodes = createReflector<NodeFacts>({
    api,
    log,
    path: '/api/v1/nodes',
    project: (raw) => projectNode(raw),
    onChange: (key, now, before) => {
      if (!isDeepStrictEqual(now, before)) onNode(splitKey(key)[1]);
    },
  });
  const renewals = createReflector<string>({
    api,
    log,
    path: `/apis/coordination.k8s.io/v1/namespaces/${NODE_LEASE_NAMESPACE}/leases`,
    project: (raw) => (raw as Lease).spec?.renewTime,
    onChange: (key, renewTime) => {
      const [, node] = splitKey(key);
      if (renewTime === undefined) leases.forget(node);
      if (renewTime === undefined || leases.observe(node, renewTime)) onNode(node);
    },
  });
  const services = createReflector<boolean>({
    api,
    log,
    path: '/api/v1/services',
    project: (raw) => publishesNotReady(raw),
    onChange: (key, now, before) => {
      if (now !== before) onChange(splitKey(key)[0], undefined);
    },
  });
  const reflectors = [pods, nodes, renewals, services];
  const live: EndpointFacts = {
    get synced() {
      return reflectors.every((reflector) => reflector.synced);
    },
    pod: (namespace, name) => pods.get(`${namespace}/${name}`),
    gone: (uid) => groups.isGone(uid),
    node: (name) => nodes.get(name),
    lease: (node) => {
      const renewedMs = leases.renewedMs(node);
      return renewedMs === undefined ? undefined : { renewedMs };
    },
    publishesNotReady: (namespace, service) => services.get(`${namespace}/${service}`),
  };
  return {
    start: () => {
      for (const reflector of reflectors) reflector.start();
    },
    stop: async () => {
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
    },
    get synced() {
      return live.synced;
    },
    whenSynced: async (signal) => {
      await Promise.all(reflectors.map((reflector) => reflector.whenSynced(signal)));
    },
    facts: () => live,
    confirm: (references, signal) => confirmFacts({ api, log, live, leases }, references, signal),
  };
}

/** `namespace/name`, or `name` alone for what lives in no namespace. */
function splitKey(key: string): readonly [namespace: string, name: string] {
  const slash = key.indexOf('/');
  return [slash < 0 ? '' : key.slice(0, slash), key.slice(slash + 1)];
}
