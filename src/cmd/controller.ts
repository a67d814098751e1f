import { createEndpointFacts } from '../adapters/kube/endpoint-facts.ts';
import { createEndpointSlices } from '../adapters/kube/endpoint-slices.ts';
import { createEndpointController } from '../controller/endpoint-controller.ts';
import type { EndpointController } from '../controller/endpoint-controller.ts';
import { startHealthServer } from '../runtime/health-server.ts';
import type { HealthServer } from '../runtime/health-server.ts';
import type { Logger } from '../runtime/logger.ts';
import { connect } from './connect.ts';
import { defineCommand, UsageError } from './command.ts';
import { listenAddress } from './flag-schemas.ts';
import type { FlagValues } from './flags.ts';
import { KUBE_FLAGS } from './kube-flags.ts';

const FLAGS = {
  'health-listen': {
    value: 'ADDRESS:PORT',
    description: 'Where GET /healthz and /readyz are answered; nowhere without it.',
    schema: listenAddress.optional(),
  },
  ...KUBE_FLAGS,
} as const;

type Values = FlagValues<typeof FLAGS>;

/** `hot-switch controller`. */
export const controllerCommand = defineCommand({
  name: 'controller',
  summary: 'Keeps EndpointSlices true while pods are bypassed: raises their endpoints, and lowers them again.',
  description: 'Any number of replicas may run at the same time, without a leader: each writes what all would write, and only where it is still needed.',
  flags: FLAGS,
  run: runController,
});

async function runController(values: Values, log: Logger, stop: AbortSignal): Promise<number> {
  const api = await connect('controller', values);
  const controller: { current?: EndpointController } = {};
  const facts = createEndpointFacts({
    api,
    log: log.with({ cache: 'endpoint facts' }),
    onChange: (namespace, podName) => controller.current?.factsChanged(namespace, podName),
  });
  const slices = createEndpointSlices({ api, log: log.with({ cache: 'slices' }), onChange: (key, now) => controller.current?.sliceChanged(key, now) });
  const endpoints = createEndpointController({ slices, facts, log });
  controller.current = endpoints;
  const notReady = (): string | undefined => {
    if (stop.aborted) return 'stopping';
    return facts.synced && slices.synced ? undefined : 'the caches are not filled yet';
  };
  let health: HealthServer | undefined;
  try {
    health = await serveHealth(values, notReady);
    facts.start();
    slices.start();
    if (await areFilled([facts, slices], stop)) {
      endpoints.lookAtAll();
      log.info('running');
    }
    if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  } finally {
    await endpoints.stop();
    await Promise.all([facts.stop(), slices.stop(), health?.stop()]);
    await api.close();
  }
  log.info('stopped');
  return 0;
}

/** False when the process was told to stop before. */
async function areFilled(caches: readonly { whenSynced(signal: AbortSignal): Promise<void> }[], stop: AbortSignal): Promise<boolean> {
  try {
    await Promise.all(caches.map((cache) => cache.whenSynced(stop)));
    return true;
  } catch (error) {
    if (stop.aborted) return false;
    throw error;
  }
}

async function serveHealth({ 'health-listen': listen }: Values, notReady: () => string | undefined): Promise<HealthServer | undefined> {
  if (listen === undefined) return undefined;
  try {
    return await startHealthServer({ ...listen, notReady });
  } catch (error) {
    throw new UsageError(`--health-listen: cannot listen on ${listen.host} port ${listen.port} (${(error as Error).message})`);
  }
}
