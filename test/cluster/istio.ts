import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './build.ts';
import { NODE_IP, startDaemon, until, type Daemon } from './host.ts';
import { HUB, TAG } from './images.ts';
import { run } from './run.ts';

const NAMESPACE = 'istio-system';

/** Values of Istio's own chart: images without a registry, addresses instead of DNS, and none of the filters that this Envoy lacks. */
const VALUES = {
  global: {
    hub: HUB,
    tag: TAG,
    imagePullPolicy: 'Never',
    istioNamespace: NAMESPACE,
    caAddress: `${NODE_IP}:15012`,
    proxy: { resources: { requests: { cpu: '1m', memory: '16Mi' }, limits: {} } },
    proxy_init: { resources: {} },
  },
  pilot: { image: 'pilot', cni: { enabled: false } },
  telemetry: { enabled: false },
  meshConfig: { defaultConfig: { discoveryAddress: `${NODE_IP}:15012` } },
};

export interface Istio {
  istiod: Daemon;
  /** Starts istiod again, with other environment variables. */
  restart(env?: Readonly<Record<string, string>>): Promise<void>;
}

/** Installs Istio's CRDs and injector webhook and runs istiod as a process on the node. */
export async function startIstio(
  folder: string,
  programs: Programs,
  kubeconfig: string,
  kubectl: (...args: string[]) => Promise<string>,
  env: Readonly<Record<string, string>> = {},
): Promise<Istio> {
  const home = join(folder, 'istiod');
  mkdirSync(join(home, 'var/lib/istio/inject'), { recursive: true });
  const crds = join(home, 'crds.yaml');
  await run(programs.istio, ['manifests', 'charts/base/files/crd-all.gen.yaml', crds]);
  writeFileSync(join(home, 'values.json'), JSON.stringify(VALUES));
  await run(programs.istio, ['render', NAMESPACE, join(home, 'values.json'), join(home, 'rendered.yaml')]);
  const rendered = splitDocuments(readFileSync(join(home, 'rendered.yaml'), 'utf8'));
  await Promise.all([kubectl('create', 'namespace', NAMESPACE), kubectl('create', '-f', crds)]);

  const find = (kind: string, name: string): string => {
    const found = rendered.find((document) => new RegExp(`^kind: ${kind}$`, 'm').test(document) && new RegExp(`^  name: ${name}$`, 'm').test(document));
    if (found === undefined) throw new Error(`Istio's chart renders no ${kind} ${name}`);
    return found;
  };
  const asJson = async (document: string): Promise<Record<string, unknown>> => {
    const file = join(home, 'document.yaml');
    writeFileSync(file, document);
    return JSON.parse(
      await run(programs.kubernetes, ['kubectl', '--kubeconfig', kubeconfig, 'create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', file]),
    ) as Record<string, unknown>;
  };
  const injector = (await asJson(find('ConfigMap', 'istio-sidecar-injector'))) as { data: Record<string, string> };
  for (const key of ['config', 'values']) writeFileSync(join(home, 'var/lib/istio/inject', key), injector.data[key] ?? '');
  const webhooks = (await asJson(find('MutatingWebhookConfiguration', 'istio-sidecar-injector'))) as { webhooks: { clientConfig: unknown }[] };
  for (const webhook of webhooks.webhooks) webhook.clientConfig = { url: `https://${NODE_IP}:15017/inject` };

  const start = (extra: Readonly<Record<string, string>>): Daemon =>
    startDaemon(
      home,
      'istiod',
      programs.istio,
      [
        'pilot-discovery',
        'discovery',
        '--meshConfig',
        join(home, 'mesh.yaml'),
        '--httpAddr',
        ':8080',
        '--grpcAddr',
        ':15010',
        '--secureGRPCAddr',
        ':15012',
        '--httpsAddr',
        ':15017',
        '--keepaliveMaxServerConnectionAge',
        '30m',
      ],
      {
        cwd: home,
        env: {
          ...process.env,
          POD_NAMESPACE: NAMESPACE,
          POD_NAME: 'istiod-lab',
          REVISION: 'default',
          CLUSTER_ID: 'Kubernetes',
          KUBECONFIG: kubeconfig,
          ISTIOD_CUSTOM_HOST: NODE_IP,
          INJECTION_WEBHOOK_CONFIG_NAME: 'istio-sidecar-injector',
          VALIDATION_WEBHOOK_CONFIG_NAME: '',
          PILOT_ENABLE_ALPN_FILTER: 'false',
          PILOT_ENABLE_METADATA_EXCHANGE: 'false',
          ...env,
          ...extra,
        },
      },
    );
  writeFileSync(
    join(home, 'mesh.yaml'),
    JSON.stringify({
      rootNamespace: NAMESPACE,
      trustDomain: 'cluster.local',
      defaultConfig: { discoveryAddress: `${NODE_IP}:15012` },
      defaultProviders: {},
      enablePrometheusMerge: false,
    }),
  );
  let istiod = start({});
  writeFileSync(join(home, 'webhooks.json'), JSON.stringify(webhooks));
  await kubectl('create', '-f', join(home, 'webhooks.json'));
  const ready = async (): Promise<void> => {
    await until('istiod', 60_000, async () => ((await fetch(`http://${NODE_IP}:8080/ready`)).ok ? true : undefined), istiod);
    await until(
      'the injector’s caBundle',
      30_000,
      async () =>
        (await kubectl('get', 'mutatingwebhookconfiguration', 'istio-sidecar-injector', '-o', 'jsonpath={.webhooks[*].clientConfig.caBundle}')) === ''
          ? undefined
          : true,
      istiod,
    );
  };
  await ready();
  return {
    get istiod() {
      return istiod;
    },
    restart: async (extra = {}) => {
      await istiod.stop('SIGKILL');
      istiod = start(extra);
      await ready();
    },
  };
}

function splitDocuments(yaml: string): string[] {
  return yaml
    .split(/^---\s*$/m)
    .map((document) => document.trim())
    .filter((document) => document !== '');
}
