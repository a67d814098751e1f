import { CONTROLLER_USER } from '../api/keys.ts';
import { overrideSlice } from '../core/endpoint-override.ts';
import { mutatePod } from '../core/mutate-pod.ts';
import { validate } from '../core/validate.ts';
import { requireKind } from './admission-review.ts';
import type { AdmissionRequest, Answer } from './admission-review.ts';
import type { WebhookDeps } from './ports.ts';
import { configuredFrom, endpointSliceFrom, podFrom } from './shapes.ts';

/** Answers one request, from memory alone; what it throws is an HttpError, or a bug. */
export type AdmissionHandler = (request: AdmissionRequest) => Answer;

const ALLOWED: Answer = { kind: 'allowed' };

/** Pods on their creation: gate, effective policy, label. Without the namespace's defaults (cache not filled yet) the pod's own values must do. */
export function mutatePods(deps: WebhookDeps): AdmissionHandler {
  return (request) => {
    requireKind(request, ['v1 Pod']);
    if (request.operation !== 'CREATE') return ALLOWED;
    const defaults = request.namespace === undefined ? undefined : deps.namespaceAnnotations(request.namespace);
    const { patch, warnings } = mutatePod(podFrom(request.object), defaults ?? {});
    if (patch.length > 0) deps.log.debug('prepared pod', { namespace: request.namespace, name: request.name, defaultsKnown: defaults !== undefined });
    return { kind: 'allowed', patch, warnings };
  };
}

/** Our annotations on bare pods and namespaces. A pod of a controller is admitted: denying it would stop a workload, and nobody would read why. */
export function validatePolicy(): AdmissionHandler {
  return (request) => {
    const kind = requireKind(request, ['v1 Pod', 'v1 Namespace']) === 'Pod' ? 'Pod' : 'Namespace';
    if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return ALLOWED;
    const now = configuredFrom(request.object, kind);
    const before = request.operation === 'UPDATE' ? configuredFrom(request.oldObject, kind) : undefined;
    const { errors, warnings } = validate(now, before);
    if (errors.length === 0 || now.controlled) return { kind: 'allowed', warnings: [...errors, ...warnings] };
    return { kind: 'denied', errors, warnings };
  };
}

/** Writes of the endpoint-slice controller: raises the endpoints of bypassed pods. Our own controller knows what it writes. */
export function mutateEndpointSlices(deps: WebhookDeps): AdmissionHandler {
  return (request) => {
    requireKind(request, ['discovery.k8s.io/v1 EndpointSlice']);
    if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return ALLOWED;
    if (request.userInfo?.username === CONTROLLER_USER) return ALLOWED;
    const patch = overrideSlice(endpointSliceFrom(request.object, request.namespace), deps.endpointFacts(), deps.nowMs());
    if (patch.length > 0) deps.log.info('held endpoints ready against a write', { namespace: request.namespace, slice: request.name });
    return { kind: 'allowed', patch };
  };
}
