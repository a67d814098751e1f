import { INTERCEPTION_MODE_ANNOTATION, PROXY_CONTAINER } from '../api/istio.ts';
import { BYPASS_RECORD, EFFECTIVE_POLICY } from '../api/keys.ts';
import type { Container, Pod } from './pod.ts';

/** Of the others some are large: kubectl keeps whole manifests in one. */
const ANNOTATIONS: ReadonlySet<string> = new Set([EFFECTIVE_POLICY, BYPASS_RECORD, INTERCEPTION_MODE_ANNOTATION]);

/** Only what decisions read: a watched pod costs a few KiB instead of some tens, and nothing of a tenant's environment is held. */
export function projectPod(pod: Pod): Pod {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, labels, annotations } = pod.metadata;
  const { nodeName, hostNetwork, containers, initContainers, restartPolicy } = pod.spec;
  const { phase, podIP, podIPs, conditions, containerStatuses, initContainerStatuses } = pod.status ?? {};
  return {
    metadata: {
      ...defined({ name, namespace, uid, resourceVersion, deletionTimestamp, labels }),
      ...(annotations && { annotations: Object.fromEntries(Object.entries(annotations).filter(([key]) => ANNOTATIONS.has(key))) }),
    },
    spec: {
      containers: containers.map(projectContainer),
      ...defined({ nodeName, hostNetwork, restartPolicy }),
      ...(initContainers && { initContainers: initContainers.map(projectContainer) }),
    },
    status: defined({ phase, podIP, podIPs, conditions, containerStatuses, initContainerStatuses }),
  };
}

function projectContainer(container: Container): Container {
  const { name, args, env, ports } = container;
  return name === PROXY_CONTAINER ? { name, ...defined({ args, env, ports }) } : { name, ...defined({ ports }) };
}

function defined<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
