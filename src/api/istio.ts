/** Constants that come from Istio. Source: istio/istio, injection-template.yaml and pkg/model, 1.31. */

/** Name of the sidecar container, in `containers` or (native sidecar) `initContainers`. */
export const PROXY_CONTAINER = 'istio-proxy';
/** Pod label from which istiod takes an endpoint's TLS mode (model.SupportsTLS / `security.istio.io/tlsMode`). */
export const TLS_MODE_LABEL = 'security.istio.io/tlsMode';
export const TLS_MODE_DISABLED = 'disabled';
/** Envoy's outbound listener; `nat OUTPUT` redirects to it. */
export const OUTBOUND_PORT = 15001;
/** Envoy's inbound listener; `nat PREROUTING` redirects to it. */
export const INBOUND_PORT = 15006;
/** pilot-agent's status port: rewritten app probes. */
export const STATUS_PORT = 15020;
/** Envoy's health port, forwarded to pilot-agent. */
export const HEALTH_PORT = 15021;
export const HEALTH_PATH = '/healthz/ready';
/** Env of istio-proxy that holds the app's original probes (pkg/kube/inject/app_probe.go). */
export const APP_PROBERS_ENV = 'ISTIO_KUBE_APP_PROBERS';
export const INTERCEPTION_MODE_ENV = 'ISTIO_META_INTERCEPTION_MODE';
export const INTERCEPTION_MODE_ANNOTATION = 'sidecar.istio.io/interceptionMode';
/** Source address of pilot-agent's own probe connections, which Istio's rules let pass (status/server.go). */
export const PASSTHROUGH_SOURCE = '127.0.0.6';
