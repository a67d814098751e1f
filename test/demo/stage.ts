import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { NODE_IP, startDaemon, until } from '../cluster/host.ts';
import { ROOT } from '../cluster/paths.ts';
import { createObserver, type Observer } from './observe.ts';
import { isReady } from './pod-line.ts';
import { ARMS, CLIENT, clientManifest, RATE, RESULTS_PORT, SHOP, shopManifests } from './shops.ts';

const READY_WITHIN_MS = 90_000;

/** Sets up both shops and their clients, and returns when everything runs: from then on all four loads are on their way. */
export async function setUp(cluster: Cluster): Promise<Observer> {
  await cluster.apply(...ARMS.flatMap((arm) => shopManifests(arm)));
  const services = await Promise.all(ARMS.map((arm) => cluster.kubectl('get', 'service', SHOP, '-n', arm.namespace, '-o', 'jsonpath={.spec.clusterIP}')));
  await cluster.apply(...ARMS.map((arm, index) => clientManifest(arm, services[index] ?? '')));
  const observer = createObserver(cluster);
  const clientIps = await withStateOnFailure(cluster, async () => {
    await until('both shops', READY_WITHIN_MS, async () => {
      await observer.observe();
      const pods = Object.values(observer.views).flatMap((view) => view.pods);
      return pods.length === ARMS.length && pods.every(isReady) ? true : undefined;
    });
    return Promise.all(ARMS.map(({ namespace }) => clientAddress(cluster, namespace)));
  });
  const targets = ARMS.map(({ namespace }, index) => `${namespace}=http://${services[index] ?? ''}/`).join(',');
  startDaemon(cluster.folder, 'plain-client', process.execPath, [join(ROOT, 'test/apps/client.ts')], {
    env: { ...process.env, TARGETS: targets, RATE: `${RATE}`, RESULTS_PORT: `${RESULTS_PORT}`, RESULTS_HOST: NODE_IP },
  });
  for (const address of clientIps) observer.addClient('meshed client', address);
  observer.addClient('plain client', NODE_IP);
  return observer;
}

async function clientAddress(cluster: Cluster, namespace: string): Promise<string> {
  await cluster.kubectl('wait', 'pod', CLIENT, '-n', namespace, '--for=condition=Ready', `--timeout=${READY_WITHIN_MS / 1000}s`);
  return cluster.kubectl('get', 'pod', CLIENT, '-n', namespace, '-o', 'jsonpath={.status.podIP}');
}

/** Adds what the cluster looks like to an error that nobody could understand without it. */
async function withStateOnFailure<T>(cluster: Cluster, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const [pods, events] = await Promise.all([
      cluster.tryKubectl('get', 'pods', '-A', '-o', 'wide'),
      cluster.tryKubectl('get', 'events', '-A', '--field-selector', 'type=Warning'),
    ]);
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${pods.stdout}\n${events.stdout.slice(-3000)}`, { cause });
  }
}
