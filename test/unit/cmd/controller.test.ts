import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { controllerCommand } from '../../../src/cmd/controller.ts';
import { captureLog } from '../../support/captured-log.ts';
import { startEndpointCluster } from '../../support/endpoint-cluster.ts';
import { makeBypassedPod, makeLease, makeNode, makeService, makeSlice } from '../../support/endpoint-scene.ts';
import { eventually } from '../../support/eventually.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
});

async function writeKubeconfig(server: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hot-switch-controller-'));
  stops.push(() => rm(folder, { recursive: true }));
  const file = join(folder, 'kubeconfig');
  const named = {
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  };
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'Config', 'current-context': 'x', ...named }));
  return file;
}

test('raises the endpoint of a bypassed pod, and ends in good order when told to', async () => {
  const cluster = await startEndpointCluster();
  stops.push(() => cluster.stop());
  cluster.put('nodes', makeNode());
  cluster.put('leases', makeLease(1));
  cluster.put('services', makeService());
  cluster.put('pods', makeBypassedPod());
  cluster.put('endpointslices', makeSlice());
  const stop = new AbortController();
  const { log, lines } = captureLog();
  const values = { kubeconfig: await writeKubeconfig(cluster.url), context: undefined, 'health-listen': { host: '127.0.0.1', port: 0 } };
  const run = controllerCommand.run(values, log, stop.signal);
  await eventually('raised', () => cluster.slice('shop/web-x1').endpoints?.[0]?.conditions?.ready === true);
  stop.abort();
  await expect(run).resolves.toBe(0);
  expect(lines.at(-1)).toMatchObject({ level: 'info', message: 'stopped' });
});

test('told to stop before the API server ever answered: ends all the same', async () => {
  const cluster = await startEndpointCluster();
  await cluster.stop();
  const stop = new AbortController();
  const run = controllerCommand.run(
    { kubeconfig: await writeKubeconfig(cluster.url), context: undefined, 'health-listen': undefined },
    captureLog().log,
    stop.signal,
  );
  setTimeout(() => stop.abort(), 50);
  await expect(run).resolves.toBe(0);
});

test('a kubeconfig that is not there is a usage error that names the flag', async () => {
  const values = { kubeconfig: '/nonexistent/kubeconfig', context: undefined, 'health-listen': undefined };
  await expect(controllerCommand.run(values, captureLog().log, new AbortController().signal)).rejects.toThrow(/^--kubeconfig: /);
});
