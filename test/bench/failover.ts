import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPrograms } from '../cluster/build.ts';
import { startCluster, stopCluster, type Cluster } from '../cluster/cluster.ts';
import { until } from '../cluster/host.ts';
import { startHotSwitch } from '../cluster/hot-switch.ts';
import { buildImages } from '../cluster/images.ts';
import { runInNewLab } from '../cluster/namespaces.ts';
import { LAB_ENV, ROOT } from '../cluster/paths.ts';
import { killEnvoyOverAndOver } from '../cluster/processes.ts';
import { ensureRequirements } from '../cluster/requirements.ts';
import { createShop, OPTED_IN, shopPod, startMeshedClient, startPlainClient, type LoadClient } from '../cluster/shop.ts';
import { collect, outageAfter, type Outage } from '../measure/series.ts';
import { failoverTable, type Failover } from '../measure/table.ts';

/*
 * From the death of a sidecar to the first good answer: a fresh pod each run, both arms in the same run one after the other, the same fault:
 * Envoy killed over and over for the time of observation. Two tables: istiod as it is, and with PILOT_ENABLE_EDS_DEBOUNCE=false.
 */

const RATE = 50;
/** 600 requests for each client after each fault. */
const OBSERVED_MS = 12_000;
const ARMS = { 'with hot-switch': 'bench-with', 'plain Istio': 'bench-without' } as const;
type Arm = keyof typeof ARMS;
const CLIENTS = ['plain client', 'meshed client'] as const;

const TABLES = {
  default: { title: 'istiod at its defaults', env: {} },
  'no-debounce': { title: 'istiod with PILOT_ENABLE_EDS_DEBOUNCE=false', env: { PILOT_ENABLE_EDS_DEBOUNCE: 'false' } },
} as const;
type TableName = keyof typeof TABLES;

interface ArmClients {
  readonly namespace: string;
  readonly clients: Readonly<Record<(typeof CLIENTS)[number], LoadClient>>;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { runs: { type: 'string', default: '10' }, table: { type: 'string', multiple: true } } });
  const runs = Number(values.runs);
  const tables = (values.table ?? Object.keys(TABLES)) as TableName[];
  const unknown = tables.find((name) => !Object.hasOwn(TABLES, name));
  if (!Number.isInteger(runs) || runs < 1 || unknown !== undefined) {
    process.stderr.write(`usage: npm run bench:failover -- [--runs N] [--table ${Object.keys(TABLES).join('|')}]\n`);
    return 2;
  }
  if (process.env[LAB_ENV] !== undefined) return inside(tables[0] ?? 'default', runs);
  await ensureRequirements();
  await buildImages(await buildPrograms());
  for (const table of tables) {
    const code = await runInNewLab(import.meta.filename, ['--runs', String(runs), '--table', table]);
    if (code !== 0) return code;
  }
  return 0;
}

async function inside(table: TableName, runs: number): Promise<number> {
  const { title, env } = TABLES[table];
  const cluster = await startCluster({ istiodEnv: env });
  const hotSwitch = await startHotSwitch(cluster, { allowNamespaces: [ARMS['with hot-switch']] });
  // In this order: a sidecar that starts over and over takes half of a small machine, and plain Istio's arm stays down whatever else runs.
  const arms = { 'with hot-switch': await prepare(cluster, 'with hot-switch', 9102), 'plain Istio': await prepare(cluster, 'plain Istio', 9101) };
  const outages = new Map<string, Outage[]>();
  for (let run = 1; run <= runs; run++) {
    await Promise.all(Object.values(arms).map((arm) => freshPod(cluster, arm)));
    for (const name of Object.keys(arms) as Arm[]) {
      const seen = await fault(cluster, arms[name]);
      for (const client of CLIENTS) outages.set(`${name}/${client}`, [...(outages.get(`${name}/${client}`) ?? []), seen[client]]);
      process.stderr.write(`  run ${run} of ${runs}, ${name}: ${CLIENTS.map((client) => `${client} ${text(seen[client])}`).join(', ')}\n`);
    }
  }
  const rows: Failover[] = (Object.keys(arms) as Arm[]).flatMap((arm) =>
    CLIENTS.map((client) => ({ arm, client, outages: outages.get(`${arm}/${client}`) ?? [] })),
  );
  process.stdout.write(
    `\n${title}; ${runs} runs, ${RATE} requests/s for each client, ${(OBSERVED_MS / 1000) * RATE} after each fault\n\n${failoverTable(rows)}\n`,
  );
  save(table, { title, runs, rate: RATE, observedMs: OBSERVED_MS, rows });
  await hotSwitch.stop();
  await stopCluster(cluster);
  return 0;
}

async function prepare(cluster: Cluster, arm: Arm, port: number): Promise<ArmClients> {
  const namespace = ARMS[arm];
  const optedIn = { namespaceLabels: OPTED_IN.labels, namespaceAnnotations: { ...OPTED_IN.consent } };
  const shop = await createShop(cluster, namespace, arm === 'with hot-switch' ? optedIn : {});
  const meshed = await startMeshedClient(cluster, namespace, `meshed=http://${shop.address}/`, { rate: RATE });
  const plain = await startPlainClient(cluster, `plain=http://${shop.address}/`, { rate: RATE, port });
  return { namespace, clients: { 'plain client': plain, 'meshed client': meshed } };
}

/** A pod without a history: kubelet's back-off and our min-bypass-duration grow with each death of the same one. */
async function freshPod(cluster: Cluster, { namespace }: ArmClients): Promise<void> {
  await cluster.kubectl('delete', 'pod', '-n', namespace, '-l', 'app=shop', '--wait=true', '--timeout=60s');
  await cluster.kubectl('rollout', 'status', '-n', namespace, 'deployment/shop', '--timeout=90s');
  await cluster.kubectl('wait', '-n', namespace, 'pod', '-l', 'app=shop', '--for=condition=Ready', '--timeout=60s');
  if (namespace === ARMS['with hot-switch']) {
    await until('the sidecar seen healthy', 30_000, async () =>
      (await shopPod(cluster, namespace)).status?.conditions?.some(({ type, status }) => type === 'hot-switch.io/ProxyHealthy' && status === 'True')
        ? true
        : undefined,
    );
  }
  await pause(3000);
}

async function fault(cluster: Cluster, { namespace, clients }: ArmClients): Promise<Record<(typeof CLIENTS)[number], Outage>> {
  const pod = await shopPod(cluster, namespace);
  await quiet(clients);
  const killer = killEnvoyOverAndOver(pod.metadata.uid ?? '');
  const [faultMs] = killer.kills;
  if (faultMs === undefined) throw new Error(`the pod of ${namespace} has no Envoy to kill`);
  await pause(OBSERVED_MS);
  killer.stop();
  await pause(1500); // what was sent last has answered or timed out
  const toMs = faultMs + OBSERVED_MS;
  const outage = async (client: LoadClient): Promise<Outage> =>
    outageAfter(
      collect(await client.results()).filter((result) => result.t < toMs),
      faultMs,
      { toMs },
    );
  return { 'plain client': await outage(clients['plain client']), 'meshed client': await outage(clients['meshed client']) };
}

/** Only a client that is served can tell what a fault costs. */
async function quiet(clients: ArmClients['clients']): Promise<void> {
  for (const client of Object.values(clients)) {
    await until('a client that is served', 60_000, async () => {
      const last = collect(await client.results()).slice(-RATE);
      return last.length === RATE && last.every(({ s }) => s === 200) ? true : undefined;
    });
  }
}

function text({ windowMs, failed, failedLater }: Outage): string {
  return `${windowMs === undefined ? 'not served again' : `${Math.round(windowMs)} ms`} (${failed + failedLater} failed)`;
}

function save(table: TableName, result: unknown): void {
  const file = join(ROOT, 'out', `bench-failover-${table}.json`);
  mkdirSync(join(ROOT, 'out'), { recursive: true });
  writeFileSync(file, JSON.stringify(result, undefined, 1));
  process.stdout.write(`\nEvery run: ${file}\n`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
