import { createResultPoller, type ResultPoller } from '../measure/poll.ts';
import type { Result } from '../measure/series.ts';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { startDaemon, until, type Daemon } from './host.ts';
import { SHOP_IMAGE } from './images.ts';
import { ROOT } from './paths.ts';
import type { Pod } from '../../src/core/pod.ts';

/** A one-replica Deployment behind a Service, in a namespace of its own. */
export interface Shop {
  readonly namespace: string;
  /** Cluster address of the Service. */
  readonly address: string;
}

export interface ShopOptions {
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  readonly namespaceAnnotations?: Readonly<Record<string, string>>;
  readonly podAnnotations?: Readonly<Record<string, string>>;
  readonly replicas?: number;
}

/** Labels and annotations of a namespace that opts in and consents. */
export const OPTED_IN = { labels: { 'hot-switch.io/failover': 'enabled' }, consent: { 'hot-switch.io/security': 'allow' } } as const;

/** Creates the shop, injected by the real injector, and waits until it is Ready. */
export async function createShop(cluster: Cluster, namespace: string, options: ShopOptions = {}): Promise<Shop> {
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { 'istio-injection': 'enabled', ...options.namespaceLabels }, annotations: options.namespaceAnnotations ?? {} },
  });
  await serviceAccountReady(cluster, namespace);
  const labels = { app: 'shop' };
  await cluster.apply(
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'shop', namespace },
      spec: {
        replicas: options.replicas ?? 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels, annotations: options.podAnnotations ?? {} },
          spec: { terminationGracePeriodSeconds: 5, containers: [shopContainer()] },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'shop', namespace },
      spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
  );
  await cluster.kubectl('rollout', 'status', '-n', namespace, 'deployment/shop', '--timeout=90s');
  const address = await cluster.kubectl('get', 'service', '-n', namespace, 'shop', '-o', 'jsonpath={.spec.clusterIP}');
  return { namespace, address };
}

/** The shop's container, with a readiness and a liveness probe that Istio rewrites. */
export function shopContainer(): unknown {
  const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1, timeoutSeconds: 1 };
  return {
    name: 'shop',
    image: SHOP_IMAGE,
    imagePullPolicy: 'Never',
    args: ['/app/shop.ts'],
    ports: [{ containerPort: 8080 }],
    readinessProbe: { ...probe, failureThreshold: 1 },
    livenessProbe: { ...probe, periodSeconds: 2, failureThreshold: 3 },
  };
}

/** The default service account is made a moment after its namespace; a pod before it would be refused. */
export async function serviceAccountReady(cluster: Cluster, namespace: string): Promise<void> {
  await until(`the service account of ${namespace}`, 20_000, async () =>
    (await cluster.tryKubectl('get', 'serviceaccount', '-n', namespace, 'default')).code === 0 ? true : undefined,
  );
}

/** The shop's pods that are not being deleted. */
export async function shopPods(cluster: Cluster, namespace: string): Promise<readonly Pod[]> {
  const list = JSON.parse(await cluster.kubectl('get', 'pods', '-n', namespace, '-l', 'app=shop', '-o', 'json')) as { items: Pod[] };
  return list.items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** The shop's only pod. */
export async function shopPod(cluster: Cluster, namespace: string): Promise<Pod> {
  const [pod, ...others] = await shopPods(cluster, namespace);
  if (pod === undefined || others.length > 0) throw new Error(`${namespace} has ${others.length + (pod === undefined ? 0 : 1)} shop pods instead of one`);
  return pod;
}

/** A load client and what it has seen so far. */
export interface LoadClient {
  readonly poller: ResultPoller;
  /** Every result since the start, in order of arrival. */
  results(): Promise<readonly Result[]>;
  stop(): Promise<void>;
}

/** A client outside the mesh: a process on the node, through kube-proxy. */
export async function startPlainClient(
  cluster: Cluster,
  targets: string,
  options: { readonly rate?: number; readonly port?: number } = {},
): Promise<LoadClient> {
  const port = options.port ?? 9001;
  const daemon: Daemon = startDaemon(cluster.folder, `client-${port}`, process.execPath, [
    join(ROOT, 'test/apps/client.ts'),
    `TARGETS=${targets}`,
    `RATE=${options.rate ?? 50}`,
    `RESULTS_PORT=${port}`,
    'RESULTS_HOST=127.0.0.1',
  ]);
  return clientAt(`http://127.0.0.1:${port}`, () => daemon.stop(), daemon);
}

/** A client inside the mesh: a pod of its own in the shop's namespace, injected too. */
export async function startMeshedClient(cluster: Cluster, namespace: string, targets: string, options: { readonly rate?: number } = {}): Promise<LoadClient> {
  await cluster.apply({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'client',
      namespace,
      labels: { app: 'client' },
      annotations: { 'traffic.sidecar.istio.io/excludeInboundPorts': '9000', 'hot-switch.io/mode': 'off' },
    },
    spec: {
      terminationGracePeriodSeconds: 2,
      containers: [
        {
          name: 'client',
          image: SHOP_IMAGE,
          imagePullPolicy: 'Never',
          args: ['/app/client.ts', `TARGETS=${targets}`, `RATE=${options.rate ?? 50}`, 'KEEPALIVE=1'],
        },
      ],
    },
  });
  await cluster.kubectl('wait', '-n', namespace, 'pod/client', '--for=condition=Ready', '--timeout=90s');
  const ip = await cluster.kubectl('get', 'pod', '-n', namespace, 'client', '-o', 'jsonpath={.status.podIP}');
  return clientAt(`http://${ip}:9000`, async () => void (await cluster.kubectl('delete', 'pod', '-n', namespace, 'client', '--wait=true', '--timeout=60s')));
}

async function clientAt(base: string, stop: () => Promise<void>, daemon?: Daemon): Promise<LoadClient> {
  await until(`the load client at ${base}`, 30_000, async () => ((await fetch(`${base}/healthz`)).ok ? true : undefined), daemon);
  const poller = createResultPoller(base);
  const seen: Result[] = [];
  return {
    poller,
    results: async () => {
      seen.push(...(await poller.poll()));
      return seen;
    },
    stop,
  };
}
