import { AppProber } from '../api/app-prober.ts';

/**
 * The app's original probes, as Istio's injector keeps them in ISTIO_KUBE_APP_PROBERS: a JSON map of the rewritten path
 * to the original action. Source: istio/istio, pilot/cmd/pilot-agent/status/server.go (KubeAppProbers, validateAppKubeProber).
 */
const PATH = /^\/(?:app-health|app-lifecycle)\/[^/]{1,253}\/(?:livez|readyz|startupz|prestopz|poststartz)$/;
const MAX_TEXT_LENGTH = 256 * 1024;
const MAX_PROBES = 256;

interface Common {
  readonly port: number;
  /** 0 when the pod names none, as for lifecycle hooks. */
  readonly timeoutMs: number;
}
export type AppProbe =
  | (Common & { readonly kind: 'http'; readonly path: string; readonly secure: boolean })
  | (Common & { readonly kind: 'tcp' })
  | (Common & { readonly kind: 'grpc'; readonly service: string });

/** Rewritten path to the app's original probe. */
export type AppProbes = ReadonlyMap<string, AppProbe>;

/** Parses the value of the variable; what is not a probe is left out and named in `problems`. Never throws. */
export function parseAppProbes(text: string | undefined): { readonly probers: AppProbes; readonly problems: readonly string[] } {
  if (text === undefined || text === '') return { probers: new Map(), problems: [] };
  const entries = entriesOf(text);
  if (typeof entries === 'string') return { probers: new Map(), problems: [entries] };
  const probers = new Map<string, AppProbe>();
  const problems: string[] = entries.length > MAX_PROBES ? [`more than ${MAX_PROBES} entries`] : [];
  for (const [path, value] of entries.slice(0, MAX_PROBES)) {
    const entry = PATH.test(path) ? AppProber.safeParse(value).data : undefined;
    if (entry === undefined) problems.push(`${path.slice(0, 100)}: no probe`);
    else probers.set(path, probeOf(entry));
  }
  return { probers, problems };
}

function entriesOf(text: string): readonly (readonly [string, unknown])[] | string {
  if (text.length > MAX_TEXT_LENGTH) return 'too long';
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : 'not a JSON object';
  } catch {
    return 'not JSON';
  }
}

function probeOf(entry: AppProber): AppProbe {
  const timeoutMs = (entry.timeoutSeconds ?? 0) * 1000;
  if (entry.httpGet !== undefined) {
    const { port, path, scheme } = entry.httpGet;
    return { kind: 'http', port, timeoutMs, path: path ?? '', secure: scheme === 'HTTPS' };
  }
  if (entry.tcpSocket !== undefined) return { kind: 'tcp', port: entry.tcpSocket.port, timeoutMs };
  return { kind: 'grpc', port: entry.grpc?.port ?? 0, timeoutMs, service: entry.grpc?.service ?? '' };
}
