/** Every name that users, Kubernetes or Istio see: labels, annotations, condition types, field values. */

/** Prefix of what people and the webhook and controller write. */
export const PREFIX = 'hot-switch.io/';
/** Prefix of what agents write as annotations: no agent can write a policy or a verdict. */
export const AGENT_PREFIX = 'agent.hot-switch.io/';

/** Namespace label that opts in; the webhooks select namespaces by it. */
export const FAILOVER_LABEL = `${PREFIX}failover`;
export const FAILOVER_ENABLED = 'enabled';

/** Pod label for `kubectl get pods -L hot-switch.io/traffic`. */
export const TRAFFIC_LABEL = `${PREFIX}traffic`;
export type Traffic = 'meshed' | 'bypassed' | 'blocked';

/** Readiness gate and condition: True when traffic has a working path, through the sidecar or past it. */
export const TRAFFIC_READY = `${PREFIX}TrafficReady`;
/** Condition: True while the redirection is cleared. */
export const BYPASSED = `${PREFIX}Bypassed`;
/** Condition: what was observed of the sidecar. */
export const PROXY_HEALTHY = `${PREFIX}ProxyHealthy`;
export const CONDITION_TYPES = [TRAFFIC_READY, BYPASSED, PROXY_HEALTHY] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** Annotation: namespace and pod values merged, JSON with the keys of `FailoverPolicy`; the only policy the agent reads. */
export const EFFECTIVE_POLICY = `${PREFIX}effective-policy`;
/** Annotation of the agent: JSON record of the running (or last) bypass, shape `BypassRecord`. */
export const BYPASS_RECORD = `${AGENT_PREFIX}bypass`;

/** Namespace of our own processes; never mutated by our own webhook. */
export const OWN_NAMESPACE = 'hot-switch-system';
/** Field manager of every write. */
export const FIELD_MANAGER = 'hot-switch';
/** The identity whose EndpointSlice writes the slice webhook never touches. */
export const CONTROLLER_USER = `system:serviceaccount:${OWN_NAMESPACE}:hot-switch-controller`;
