import { APP_PROBERS_ENV, INTERCEPTION_MODE_ANNOTATION, INTERCEPTION_MODE_ENV, PROXY_CONTAINER } from '../api/istio.ts';
import type { Container, Pod } from './pod.ts';

export type Managed = { readonly managed: true; readonly proxy: Container; readonly native: boolean } | { readonly managed: false; readonly why: string };

/** What Go's strconv.ParseBool, by which Istio reads it, takes for true. */
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

/**
 * Whether the pod has an Istio sidecar with redirection, so that there is something to bypass; else why not.
 * The test of istio-cni (cni/pkg/plugin/plugin.go), plus interception mode and host network.
 * The annotation sidecar.istio.io/status alone proves nothing: every injection template writes it.
 */
export function recognise(pod: Pod): Managed {
  if (pod.spec.hostNetwork === true) return no('uses the network of its node');
  const inits = pod.spec.initContainers ?? [];
  const native = inits.find((container) => container.name === PROXY_CONTAINER);
  const proxy = native ?? pod.spec.containers.find((container) => container.name === PROXY_CONTAINER);
  if (proxy === undefined) return no('has no container istio-proxy');
  if (TRUE.has(envOf(proxy, 'DISABLE_ENVOY') ?? '')) return no('is proxyless: istio-proxy runs without Envoy');
  if (proxy.args?.[0] === 'proxy' && proxy.args[1] !== 'sidecar') return no(`runs istio-proxy as ${JSON.stringify(proxy.args[1] ?? '')}, not as a sidecar`);
  if (!inits.some((container) => container.name === 'istio-init' || container.name === 'istio-validation'))
    return no('has neither istio-init nor istio-validation');
  const mode = envOf(proxy, INTERCEPTION_MODE_ENV) ?? pod.metadata.annotations?.[INTERCEPTION_MODE_ANNOTATION] ?? 'REDIRECT';
  if (mode !== 'REDIRECT' && mode !== 'TPROXY') return no(`has interception mode ${JSON.stringify(mode.slice(0, 32))}`);
  return { managed: true, proxy, native: native !== undefined };
}

/** The app's original probes as Istio's injector recorded them: raw JSON, or undefined. */
export function appProbersOf(proxy: Container): string | undefined {
  return envOf(proxy, APP_PROBERS_ENV);
}

function no(why: string): Managed {
  return { managed: false, why };
}

function envOf(container: Container, name: string): string | undefined {
  return container.env?.find((entry) => entry.name === name)?.value;
}
