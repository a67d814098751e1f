import { ENDPOINT_SLICE_CONTROLLER, MANAGED_BY_LABEL } from '../../api/kubernetes.ts';
import type { SliceWrite, Slices } from '../../controller/ports.ts';
import type { EndpointSlice } from '../../core/endpoint-slice.ts';
import type { Logger } from '../../runtime/logger.ts';
import { projectSlice } from './endpoint-projections.ts';
import { createReflector } from './reflector.ts';
import { ApiError } from './transport.ts';
import type { KubeApi } from './transport.ts';

export interface EndpointSlicesSource extends Slices {
  start(): void;
  stop(): Promise<void>;
  readonly synced: boolean;
  whenSynced(signal?: AbortSignal): Promise<void>;
}

export interface EndpointSlicesOptions {
  readonly api: KubeApi;
  readonly log: Logger;
  readonly onChange: (key: string, now: EndpointSlice | undefined) => void;
}

const API = '/apis/discovery.k8s.io/v1';
const TIMEOUT_MS = 5000;

/** Watches, reads and patches the EndpointSlices that Kubernetes' own controller manages. */
export function createEndpointSlices({ api, log, onChange }: EndpointSlicesOptions): EndpointSlicesSource {
  const reflector = createReflector<EndpointSlice>({
    api,
    log,
    path: `${API}/endpointslices`,
    labelSelector: `${MANAGED_BY_LABEL}=${ENDPOINT_SLICE_CONTROLLER}`,
    project: (raw) => projectSlice(raw),
    onChange,
  });
  return {
    start: () => reflector.start(),
    stop: () => reflector.stop(),
    get synced() {
      return reflector.synced;
    },
    whenSynced: (signal) => reflector.whenSynced(signal),
    get: (key) => reflector.get(key),
    async read(key, signal) {
      try {
        return projectSlice(await api.get<EndpointSlice>(pathOf(key), { signal, timeoutMs: TIMEOUT_MS }));
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    },
    async patch(key, operations, signal): Promise<SliceWrite> {
      try {
        const slice = await api.patch<EndpointSlice>(pathOf(key), 'json', operations, { signal, timeoutMs: TIMEOUT_MS });
        return { kind: 'written', slice: projectSlice(slice) };
      } catch (error) {
        if (statusOf(error) === 404) return { kind: 'gone' };
        // 422 is what a failed `test`, or an index that is no more, comes back as.
        if (statusOf(error) === 409 || statusOf(error) === 422) {
          log.debug('the slice moved before the write', { slice: key, error });
          return { kind: 'moved' };
        }
        throw error;
      }
    },
  };
}

function pathOf(key: string): string {
  const [namespace = '', name = ''] = key.split('/');
  return `${API}/namespaces/${encodeURIComponent(namespace)}/endpointslices/${encodeURIComponent(name)}`;
}

function statusOf(error: unknown): number | undefined {
  return error instanceof ApiError ? error.status : undefined;
}
