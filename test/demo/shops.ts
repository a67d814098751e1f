import { FAILOVER_ENABLED, FAILOVER_LABEL, PREFIX } from '../../src/api/keys.ts';
import { SHOP_IMAGE } from '../cluster/images.ts';

/** One of the two copies of the shop. */
export interface Arm {
  readonly namespace: string;
  readonly title: string;
  readonly failover: boolean;
}

export const ARMS = [
  { namespace: 'shop-without', title: 'without hot-switch', failover: false },
  { namespace: 'shop-with', title: 'with hot-switch', failover: true },
] as const satisfies readonly Arm[];

export const SHOP = 'shop';
export const CLIENT = 'client';
/** Where a load client serves its results. */
export const RESULTS_PORT = 9000;

/** Requests a second of each client to each shop. */
export const RATE = 50;

/** The namespace, the accounts, and a one-replica Deployment behind a Service: the same in both arms but for the namespace's label and annotation. */
export function shopManifests({ namespace, failover }: Arm): readonly unknown[] {
  const labels = { 'istio-injection': 'enabled', ...(failover && { [FAILOVER_LABEL]: FAILOVER_ENABLED }) };
  const annotations = failover ? { [`${PREFIX}security`]: 'allow' } : {};
  const container = {
    name: SHOP,
    image: SHOP_IMAGE,
    imagePullPolicy: 'Never',
    args: ['/app/shop.ts'],
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
    livenessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 2 },
  };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels, annotations } },
    ...[SHOP, CLIENT].map((name) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } })),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: SHOP, namespace },
      spec: { selector: { app: SHOP }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: SHOP, namespace },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: SHOP } },
        template: { metadata: { labels: { app: SHOP } }, spec: { serviceAccountName: SHOP, containers: [container] } },
      },
    },
  ];
}

/** The meshed client: a pod with a sidecar, through which it asks the Service. Its results port passes its own sidecar by, so that the demo can read it from outside the mesh. */
export function clientManifest({ namespace }: Arm, serviceIp: string): unknown {
  const env = { TARGETS: `${namespace}=http://${serviceIp}/`, RATE: `${RATE}`, KEEPALIVE: '1', RESULTS_PORT: `${RESULTS_PORT}` };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: CLIENT,
      namespace,
      labels: { app: CLIENT },
      annotations: { 'traffic.sidecar.istio.io/excludeInboundPorts': `${RESULTS_PORT}` },
    },
    spec: {
      serviceAccountName: CLIENT,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: CLIENT,
          image: SHOP_IMAGE,
          imagePullPolicy: 'Never',
          args: ['/app/client.ts'],
          env: Object.entries(env).map(([name, value]) => ({ name, value })),
        },
      ],
    },
  };
}
