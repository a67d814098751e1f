import { ENDPOINT_SLICE_CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from '../api/kubernetes.ts';
import type { Condition, ObjectMeta } from './pod.ts';

/* The narrow view of the objects around an endpoint: the wire JSON, dates as strings. */

/** Conditions of an endpoint (k8s.io/api/discovery/v1): an absent `ready` reads as true, an absent `serving` as `ready`. */
export interface EndpointConditions {
  readonly ready?: boolean | null;
  readonly serving?: boolean | null;
  readonly terminating?: boolean | null;
}

export interface EndpointHints {
  readonly forZones?: readonly { readonly name: string }[];
  readonly forNodes?: readonly { readonly name: string }[];
}

export interface Endpoint {
  readonly conditions?: EndpointConditions;
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string; readonly uid?: string };
  readonly nodeName?: string;
  readonly zone?: string;
  readonly hints?: EndpointHints;
}

export interface EndpointSlice {
  readonly metadata: ObjectMeta;
  /** null is what the API server writes for a slice without endpoints. */
  readonly endpoints?: readonly Endpoint[] | null;
}

export interface Node {
  readonly metadata: ObjectMeta;
  readonly status?: { readonly conditions?: readonly Condition[]; readonly nodeInfo?: { readonly bootID?: string } };
}

export interface Lease {
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly renewTime?: string };
}

export interface Service {
  readonly metadata: ObjectMeta;
  readonly spec?: { readonly publishNotReadyAddresses?: boolean };
}

/** The pod an endpoint stands for, or undefined when it stands for something else. */
export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The pod that the endpoint's targetRef names, complete with UID; undefined for anything else. */
export function podOf(endpoint: Endpoint, slice: EndpointSlice): PodReference | undefined {
  const { kind, name, uid, namespace = slice.metadata.namespace } = endpoint.targetRef ?? {};
  if (kind !== 'Pod' || !name || !uid || !namespace) return undefined;
  return { namespace, name, uid };
}

/** Whether consumers take the endpoint as ready: an absent value counts as ready. */
export function readsReady(endpoint: Endpoint): boolean {
  return endpoint.conditions?.ready !== false;
}

/** Whether Kubernetes' own endpoint-slice controller keeps this slice; all others are somebody else's. */
export function isKubernetesOwn(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.[MANAGED_BY_LABEL] === ENDPOINT_SLICE_CONTROLLER;
}

/** Name of the Service that the slice belongs to. */
export function serviceOf(slice: EndpointSlice): string | undefined {
  return slice.metadata.labels?.[SERVICE_NAME_LABEL];
}
