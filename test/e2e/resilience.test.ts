import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../cluster/host.ts';
import { killEnvoyOverAndOver, processesOf } from '../cluster/processes.ts';
import { run } from '../cluster/run.ts';
import { createShop, OPTED_IN, shopPod, startPlainClient, type LoadClient, type Shop } from '../cluster/shop.ts';
import { collect, isGood } from '../measure/series.ts';
import { condition, endpointsOf, restarts, startLab, traffic, untilPod, type Lab } from './lab.ts';
import type { Pod } from '../../src/core/pod.ts';

/* Parts of ours, or the API server, die at bad moments. One shop for each story, so that back-offs do not add up. */

const NAMESPACES = ['agent-killed', 'api-killed', 'api-killed-before'] as const;

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ allowNamespaces: NAMESPACES });
}, 300_000);
afterAll(() => lab?.end(), 60_000);

async function healthyShop(namespace: string): Promise<{ shop: Shop; pod: Pod; read: () => Promise<Pod> }> {
  const shop = await createShop(lab.cluster, namespace, { namespaceLabels: OPTED_IN.labels, namespaceAnnotations: OPTED_IN.consent });
  const read = (): Promise<Pod> => shopPod(lab.cluster, namespace);
  return { shop, read, pod: await untilPod('the sidecar healthy', 60_000, read, (seen) => condition(seen, 'ProxyHealthy')?.status === 'True') };
}

async function failuresAfter(client: LoadClient, fromMs: number): Promise<number> {
  return collect(await client.results()).filter((result) => result.t > fromMs && !isGood(result)).length;
}

describe('the agent is killed during a bypass', () => {
  test('nothing is doubled or forgotten, probes are answered again, and the restore works', async () => {
    const { shop, pod, read } = await healthyShop('agent-killed');
    const client = await startPlainClient(lab.cluster, `plain=http://${shop.address}/`, { port: 9011 });
    const killer = killEnvoyOverAndOver(pod.metadata.uid ?? '');
    try {
      const bypassed = await untilPod('the bypass', 20_000, read, (seen) => traffic(seen) === 'bypassed');
      const record = bypassed.metadata.annotations?.['agent.hot-switch.io/bypass'];
      await pause(2000);
      const fromMs = Date.now();
      await lab.hotSwitch.agent.stop('SIGKILL');
      await pause(1000);
      const without = await rulesOf(pod);
      await lab.hotSwitch.start('agent');
      await until('the probe redirect at work', 15_000, async () =>
        (await statusOf(`http://${pod.status?.podIP}:15020/app-health/shop/readyz`)) === 200 ? true : undefined,
      );
      const after = await rulesOf(pod);
      expect(hooks(after)).toEqual(hooks(without));
      expect(after.match(/-A PREROUTING [^\n]*--dport 15020/g)).toHaveLength(1);
      await pause(3000);
      const later = await read();
      expect(traffic(later)).toBe('bypassed');
      expect(later.metadata.annotations?.['agent.hot-switch.io/bypass']).toBe(record);
      expect(restarts(later, 'shop')).toBe(restarts(pod, 'shop'));
      // The rules stay whoever lives: no request may fail for want of an agent. Endpoints may leave while nobody answers probes.
      const failed = await failuresAfter(client, fromMs + 8000);
      expect(failed).toBe(0);
    } finally {
      killer.stop();
    }
    const restored = await untilPod('the restore', 150_000, read, (seen) => traffic(seen) === 'meshed');
    expect(restored.metadata.labels?.['security.istio.io/tlsMode']).toBe('istio');
    expect(await rulesOf(pod)).not.toMatch(/HOT_SWITCH|hot-switch/);
    expect(await rulesOf(pod)).toMatch(/-A PREROUTING -p tcp -j ISTIO_INBOUND/);
    await client.stop();
  }, 300_000);
});

describe('kube-apiserver is killed and restarted', () => {
  test('during a bypass: served meanwhile, and everything goes on', async () => {
    const { shop, pod, read } = await healthyShop('api-killed');
    const client = await startPlainClient(lab.cluster, `plain=http://${shop.address}/`, { port: 9012 });
    const killer = killEnvoyOverAndOver(pod.metadata.uid ?? '');
    await untilPod('the bypass', 20_000, read, (seen) => traffic(seen) === 'bypassed');
    await pause(3000);
    const fromMs = Date.now();
    await lab.cluster.controlPlane.apiServer.stop('SIGKILL');
    await pause(5000);
    await lab.cluster.controlPlane.restartApiServer();
    await pause(5000);
    expect(await failuresAfter(client, fromMs)).toBe(0);
    // The controller still follows the application,
    const base = `http://${pod.status?.podIP}:8080`;
    await fetch(`${base}/control/unready`, { method: 'POST' });
    await until('the endpoint lowered', 15_000, async () => ((await endpointsOf(lab.cluster, 'api-killed', 'shop'))[0]?.ready === false ? true : undefined));
    await fetch(`${base}/control/ready`, { method: 'POST' });
    await until('the endpoint raised', 15_000, async () => ((await endpointsOf(lab.cluster, 'api-killed', 'shop'))[0]?.ready === true ? true : undefined));
    killer.stop();
    // the agent still restores,
    await untilPod('the restore', 150_000, read, (seen) => traffic(seen) === 'meshed');
    // and the webhook still prepares pods.
    await lab.cluster.kubectl('delete', 'pod', '-n', 'api-killed', pod.metadata.name ?? '', '--wait=true', '--timeout=60s');
    const next = await untilPod('a new pod, prepared', 60_000, read, (seen) => condition(seen, 'ProxyHealthy')?.status === 'True');
    expect(next.spec.readinessGates).toEqual([{ conditionType: 'hot-switch.io/TrafficReady' }]);
    await client.stop();
  }, 300_000);

  test('before the sidecar dies: bypassed at once, the status follows later', async () => {
    const { pod, read } = await healthyShop('api-killed-before');
    await lab.cluster.controlPlane.apiServer.stop('SIGKILL');
    const killer = killEnvoyOverAndOver(pod.metadata.uid ?? '');
    try {
      await until('the application answering past its sidecar', 5000, async () =>
        (await statusOf(`http://${pod.status?.podIP}:8080/`)) === 200 ? true : undefined,
      );
      expect(await rulesOf(pod)).not.toMatch(/-A PREROUTING -p tcp -j ISTIO_INBOUND/);
      await lab.cluster.controlPlane.restartApiServer();
      await untilPod('the status', 30_000, read, (seen) => traffic(seen) === 'bypassed' && condition(seen, 'Bypassed')?.status === 'True');
    } finally {
      killer.stop();
    }
  }, 200_000);
});

async function statusOf(url: string): Promise<number | undefined> {
  return (await fetch(url, { signal: AbortSignal.timeout(1000), headers: { connection: 'close' } })).status;
}

async function rulesOf(of: Pod): Promise<string> {
  const [pid] = processesOf(of.metadata.uid ?? '', 'busybox');
  return run('nsenter', ['-t', String(pid), '-n', 'iptables-nft-save', '-t', 'nat']);
}

/** The rules of ours, without the port of the agent that answers probes. */
function hooks(rules: string): readonly string[] {
  return rules.split('\n').filter((line) => /HOT_SWITCH|hot-switch/.test(line) && !line.includes('15020'));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
