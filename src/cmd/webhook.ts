import { z } from 'zod';
import { createEndpointFacts } from '../adapters/kube/endpoint-facts.ts';
import { createNamespaceDefaults } from '../adapters/kube/namespace-defaults.ts';
import { openCertificateFiles } from '../adapters/tls/source.ts';
import type { FileCertificateSource } from '../adapters/tls/source.ts';
import type { Logger } from '../runtime/logger.ts';
import { connect } from './connect.ts';
import { defineCommand, UsageError } from './command.ts';
import type { FlagValues } from './flags.ts';
import { durationMs, listenAddress } from './flag-schemas.ts';
import { KUBE_FLAGS } from './kube-flags.ts';

const FLAGS = {
  listen: { value: 'ADDRESS:PORT', description: 'Where HTTPS is served.', default: '0.0.0.0:9443', schema: listenAddress },
  'tls-cert': {
    value: 'FILE',
    description: 'PEM of the certificate and its chain; read again whenever it changes.',
    default: 'certs/tls.crt',
    schema: z.string().min(1, 'must name a file'),
  },
  'tls-key': { value: 'FILE', description: 'PEM of its key.', default: 'certs/tls.key', schema: z.string().min(1, 'must name a file') },
  'drain-delay': {
    value: 'DURATION',
    description: 'After SIGTERM, how long new connections are still taken, while the Service learns that this replica is gone.',
    default: '3s',
    schema: durationMs(0, 60_000),
  },
  ...KUBE_FLAGS,
} as const;

type Values = FlagValues<typeof FLAGS>;

/** `hot-switch webhook`. */
export const webhookCommand = defineCommand({
  name: 'webhook',
  summary: 'Prepares new pods, checks annotations, and holds endpoints of bypassed pods ready (admission webhook).',
  description: 'Answers from memory: it watches namespaces, pods, nodes and Services, and makes no API call while a request waits.',
  flags: FLAGS,
  run: runWebhook,
});

async function runWebhook(values: Values, log: Logger, stop: AbortSignal): Promise<number> {
  const certificates = await openCertificates(values, log);
  const api = await connect('webhook', values);
  const namespaces = createNamespaceDefaults({ api, log: log.with({ cache: 'namespaces' }) });
  const endpoints = createEndpointFacts({ api, log: log.with({ cache: 'endpoints' }) });
  namespaces.start();
  endpoints.start();
  try {
    await serve(values, log, stop, { certificates, namespaces, endpoints });
  } finally {
    certificates.stop();
    await Promise.all([namespaces.stop(), endpoints.stop()]);
    await api.close();
  }
  return 0;
}

interface Sources {
  readonly certificates: FileCertificateSource;
  readonly namespaces: ReturnType<typeof createNamespaceDefaults>;
  readonly endpoints: ReturnType<typeof createEndpointFacts>;
}

async function serve(values: Values, log: Logger, stop: AbortSignal, { certificates, namespaces, endpoints }: Sources): Promise<void> {
  const [{ createWebhookApp }, { startWebhookServer }] = await Promise.all([import('../webhook/app.ts'), import('../webhook/server.ts')]);
  let notReady = (): string | undefined => 'starting';
  const app = createWebhookApp({
    namespaceAnnotations: (name) => namespaces.annotations(name),
    endpointFacts: () => endpoints.facts(),
    notReady: () => notReady(),
    nowMs: () => Date.now(),
    log,
  });
  const server = await startWebhookServer({ app, certificates, ...values.listen, log, drainDelayMs: values['drain-delay'] }).catch((error: Error) => {
    throw new UsageError(`--listen: cannot listen on ${values.listen.host} port ${values.listen.port} (${error.message})`);
  });
  notReady = () => {
    if (server.draining) return 'draining';
    if (!namespaces.synced) return 'the cache of namespaces is not filled yet';
    return endpoints.synced ? undefined : 'the cache of pods, nodes and Services is not filled yet';
  };
  log.info('serving', { address: server.address.address, port: server.address.port });
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await server.stop();
  log.info('stopped');
}

async function openCertificates(values: Values, log: Logger): Promise<FileCertificateSource> {
  const { 'tls-cert': certFile, 'tls-key': keyFile } = values;
  try {
    return await openCertificateFiles({ certFile, keyFile, log });
  } catch (error) {
    throw new UsageError(`--tls-cert ${certFile} and --tls-key ${keyFile} are no usable certificate (${(error as Error).message}); npm run certs makes one`);
  }
}
