import { readFileSync } from 'node:fs';
import { createKubeApi, type KubeApi } from '../../src/adapters/kube/transport.ts';
import { SERVICE_NAME_LABEL } from '../../src/api/kubernetes.ts';
import type { Pod } from '../../src/core/pod.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { API_SERVER } from '../cluster/control-plane.ts';
import { createResultPoller, type ResultPoller } from '../measure/poll.ts';
import type { Result } from '../measure/series.ts';
import type { Endpoint } from './pod-line.ts';
import { ARMS, RESULTS_PORT, SHOP } from './shops.ts';

export const CLIENTS = ['meshed client', 'plain client'] as const;
export type ClientName = (typeof CLIENTS)[number];

/** What is known of one arm; it stays as it was while a read fails. */
export interface ArmView {
  readonly pods: readonly Pod[];
  readonly endpoints: readonly Endpoint[];
  /** In the order in which the answers came. */
  readonly results: Readonly<Record<ClientName, readonly Result[]>>;
}

/** Reads pods, endpoints and the clients' results of both arms. */
export interface Observer {
  /** By the arm's namespace. */
  readonly views: Readonly<Record<string, ArmView>>;
  /** Starts to read a load client at its address; a target's name is the arm's namespace. */
  addClient(name: ClientName, address: string): void;
  /** Reads everything once; a read that fails changes nothing, and the next one makes up for it. */
  observe(): Promise<void>;
  /** Ends the connections. */
  close(): Promise<void>;
}

interface Items<T> {
  readonly items: readonly T[];
}
interface MutableView {
  pods: readonly Pod[];
  endpoints: readonly Endpoint[];
  readonly results: Record<ClientName, Result[]>;
}

const READ_TIMEOUT_MS = 3000;

/** Creates the observer of a cluster in a box. */
export function createObserver(cluster: Cluster): Observer {
  const { caFile, adminToken } = cluster.controlPlane;
  const api = createKubeApi({ server: API_SERVER, ca: readFileSync(caFile, 'utf8'), bearerToken: () => Promise.resolve(adminToken) });
  const views: Record<string, MutableView> = Object.fromEntries(
    ARMS.map(({ namespace }) => [namespace, { pods: [], endpoints: [], results: { 'meshed client': [], 'plain client': [] } }]),
  );
  const pollers: { readonly name: ClientName; readonly poller: ResultPoller }[] = [];

  async function readResults(name: ClientName, poller: ResultPoller): Promise<void> {
    for (const result of await poller.poll()) views[result.n]?.results[name].push(result);
  }

  return {
    views,
    addClient: (name, address) => void pollers.push({ name, poller: createResultPoller(`http://${address}:${RESULTS_PORT}`, READ_TIMEOUT_MS) }),
    observe: async () => {
      const reads = [
        ...Object.entries(views).map(([namespace, view]) => readObjects(api, namespace, view)),
        ...pollers.map(({ name, poller }) => readResults(name, poller)),
      ];
      await Promise.allSettled(reads);
    },
    close: () => api.close(),
  };
}

async function readObjects(api: KubeApi, namespace: string, view: MutableView): Promise<void> {
  const [pods, slices] = await Promise.all([
    api.get<Items<Pod>>(`/api/v1/namespaces/${namespace}/pods`, { query: { labelSelector: `app=${SHOP}` }, timeoutMs: READ_TIMEOUT_MS }),
    api.get<Items<{ readonly endpoints?: readonly Endpoint[] | null }>>(`/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      query: { labelSelector: `${SERVICE_NAME_LABEL}=${SHOP}` },
      timeoutMs: READ_TIMEOUT_MS,
    }),
  ]);
  view.pods = pods.items;
  view.endpoints = slices.items.flatMap((slice) => slice.endpoints ?? []);
}
