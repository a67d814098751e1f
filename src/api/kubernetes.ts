/** Constants that come from Kubernetes. */

/** Label that names the Service of an EndpointSlice (k8s.io/api/discovery/v1). */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
/** Label that names who manages an EndpointSlice. */
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by';
/** The one manager whose slices we override (k8s.io/kubernetes/pkg/controller/endpointslice). */
export const ENDPOINT_SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';
/** Namespace in which kubelets renew their Leases (every 10 s). */
export const NODE_LEASE_NAMESPACE = 'kube-node-lease';
