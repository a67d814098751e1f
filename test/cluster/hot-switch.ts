import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueCertificates } from '../../src/adapters/tls/issue.ts';
import { OWN_NAMESPACE } from '../../src/api/keys.ts';
import type { Cluster } from './cluster.ts';
import { kubeconfigOf, NODE_NAME } from './control-plane.ts';
import { NODE_IP, startDaemon, until, type Daemon } from './host.ts';
import { ROOT } from './paths.ts';
import { run } from './run.ts';

const WEBHOOK_PORT = 9443;
const CONTROLLER_HEALTH_PORT = 9444;

/** hot-switch on a lab: each part a process on the node, with the service account and the rights that an installation gives it. */
export interface HotSwitch {
  webhook: Daemon;
  controller: Daemon;
  agent: Daemon;
  /** Starts a part again after it was stopped or killed, and waits until it is ready. */
  start(part: Part): Promise<void>;
  stop(): Promise<void>;
}
export type Part = 'webhook' | 'controller' | 'agent';

/** Applies webhook-config/ and starts webhook, controller and agent. */
export async function startHotSwitch(cluster: Cluster, options: { readonly allowNamespaces?: readonly string[] } = {}): Promise<HotSwitch> {
  const { folder, kubectl } = cluster;
  for (const file of ['namespace.yaml', 'rbac.yaml']) await kubectl('apply', '-f', join(ROOT, 'webhook-config', file));
  const { ca, cert, key } = issueCertificates({ hosts: [NODE_IP], days: 2 });
  const certFile = join(folder, 'webhook.crt');
  const keyFile = join(folder, 'webhook.key');
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const kubeconfigs = new Map<Part, string>();
  for (const part of ['webhook', 'controller', 'agent'] as const) kubeconfigs.set(part, await accountOf(cluster, part));

  const flags: Readonly<Record<Part, readonly string[]>> = {
    webhook: ['--listen', `${NODE_IP}:${WEBHOOK_PORT}`, '--tls-cert', certFile, '--tls-key', keyFile, '--drain-delay', '0s'],
    controller: ['--health-listen', `127.0.0.1:${CONTROLLER_HEALTH_PORT}`],
    agent: ['--node-name', NODE_NAME, '--security-allow-namespaces', (options.allowNamespaces ?? []).join(',')],
  };
  const start = (part: Part): Daemon =>
    startDaemon(folder, `hot-switch-${part}`, process.execPath, [
      join(ROOT, 'src/cmd/hot-switch.ts'),
      part,
      '--kubeconfig',
      kubeconfigs.get(part) ?? '',
      ...flags[part],
    ]);
  const ready: Readonly<Record<Part, (daemon: Daemon) => Promise<unknown>>> = {
    webhook: (daemon) =>
      until(
        'hot-switch webhook',
        30_000,
        async () =>
          (await run('curl', ['-sk', '-m', '2', `https://${NODE_IP}:${WEBHOOK_PORT}/readyz`, '-o', '/dev/null', '-w', '%{http_code}'])) === '200'
            ? true
            : undefined,
        daemon,
      ),
    controller: (daemon) =>
      until('hot-switch controller', 30_000, async () => ((await fetch(`http://127.0.0.1:${CONTROLLER_HEALTH_PORT}/readyz`)).ok ? true : undefined), daemon),
    agent: (daemon) =>
      until('hot-switch agent', 30_000, () => (readFileSync(daemon.logFile, 'utf8').includes('"message":"watching"') ? true : undefined), daemon),
  };
  const parts: Record<Part, Daemon> = { webhook: start('webhook'), controller: start('controller'), agent: start('agent') };
  await Promise.all((['webhook', 'controller', 'agent'] as const).map((part) => ready[part](parts[part])));
  await applyWebhooks(cluster, ca);
  return {
    get webhook() {
      return parts.webhook;
    },
    get controller() {
      return parts.controller;
    },
    get agent() {
      return parts.agent;
    },
    start: async (part) => {
      await parts[part].stop();
      parts[part] = start(part);
      await ready[part](parts[part]);
    },
    stop: async () => void (await Promise.all(Object.values(parts).map((daemon) => daemon.stop()))),
  };
}

/** A kubeconfig with a token of the part's own service account. */
async function accountOf(cluster: Cluster, part: Part): Promise<string> {
  const token = await cluster.kubectl('create', 'token', '-n', OWN_NAMESPACE, `hot-switch-${part}`, '--duration=24h');
  const file = join(cluster.folder, `hot-switch-${part}.kubeconfig`);
  writeFileSync(file, kubeconfigOf(readFileSync(cluster.controlPlane.caFile, 'utf8'), token.trim()), { mode: 0o600 });
  return file;
}

/** The product's own webhook configurations, with the lab's address in place of the Service. */
async function applyWebhooks(cluster: Cluster, ca: string): Promise<void> {
  const rendered = await cluster.kubectl('create', '--dry-run=client', '--validate=false', '-o', 'json', '-f', join(ROOT, 'webhook-config/webhooks.yaml'));
  const objects = splitJson(rendered) as { webhooks: { clientConfig: { service?: { path: string }; url?: string; caBundle?: string } }[] }[];
  for (const { webhooks } of objects) {
    for (const webhook of webhooks) {
      webhook.clientConfig = {
        url: `https://${NODE_IP}:${WEBHOOK_PORT}${webhook.clientConfig.service?.path ?? ''}`,
        caBundle: Buffer.from(ca).toString('base64'),
      };
    }
  }
  await cluster.apply(...objects);
}

/** kubectl prints several objects one after the other. */
function splitJson(text: string): unknown[] {
  return text
    .trim()
    .split(/\n(?=\{\n)/)
    .map((part) => JSON.parse(part) as unknown);
}
