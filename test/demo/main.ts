import { buildPrograms } from '../cluster/build.ts';
import { logTails, startCluster, stopCluster, type Cluster } from '../cluster/cluster.ts';
import { startHotSwitch } from '../cluster/hot-switch.ts';
import { buildImages } from '../cluster/images.ts';
import { runInNewLab } from '../cluster/namespaces.ts';
import { LAB_ENV } from '../cluster/paths.ts';
import { ensureRequirements, RequirementError } from '../cluster/requirements.ts';
import { endOnInterrupt, Interrupted } from './interrupt.ts';
import { showMoment } from './moments.ts';
import { report } from './report.ts';
import { createScreen, screenOptions, type Screen } from './screen.ts';
import { setUp } from './stage.ts';
import { playStory } from './story.ts';

const INTRODUCTION = `
The same small shop twice, each one pod behind a Service, in a real Istio mesh:
one without hot-switch, one in a namespace that has opted in. A meshed client
and a plain one ask both, 50 times a second each. Then both sidecars crash,
over and over, for 45 s. The load starts in about half a minute.
shop-with has security=allow: while a sidecar is bypassed, its mTLS and its
authorisation are suspended, and without this consent hot-switch refuses.

`;

/** `npm run demo`, outside: what it needs is made, then the demo goes on inside a lab. */
async function outside(): Promise<number> {
  await ensureRequirements();
  await buildImages(await buildPrograms());
  return runInNewLab(import.meta.filename, process.argv.slice(2));
}

async function inside(): Promise<number> {
  const interruption = endOnInterrupt();
  const started: { cluster?: Cluster; screen?: Screen } = {};
  try {
    return await Promise.race([perform(started, interruption.signal), interruption.interrupted]);
  } catch (error) {
    started.screen?.close();
    if (error instanceof Interrupted || started.cluster === undefined) throw error;
    process.stderr.write(`\n${logTails(started.cluster, ['hot-switch-agent', 'hot-switch-webhook', 'hot-switch-controller'])}\n`);
    throw error;
  } finally {
    if (started.cluster !== undefined) await stopCluster(started.cluster);
  }
}

async function perform(started: { cluster?: Cluster; screen?: Screen }, signal: AbortSignal): Promise<number> {
  process.stdout.write(INTRODUCTION);
  const cluster = await startCluster();
  started.cluster = cluster;
  await startHotSwitch(cluster, { allowNamespaces: ['shop-with'] });
  process.stderr.write('  hot-switch runs; starting the shops and their clients ...\n');
  const observer = await setUp(cluster);
  const options = screenOptions(process.stdout, process.env);
  const screen = createScreen(options);
  started.screen = screen;
  const columns = (): number => Math.min(options.columns, process.stdout.columns ?? options.columns);
  const story = await playStory({ observer, screen, signal, show: (moment) => showMoment(cluster, screen, moment, columns()) });
  screen.close();
  const { text, broken } = report(observer, story);
  process.stdout.write(`${text}\n`);
  await observer.close();
  if (broken === undefined) return 0;
  process.stderr.write(`${broken}\n`);
  return 1;
}

// Whoever read them may be gone; what is then still said is said to nobody.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
try {
  process.exitCode = process.env[LAB_ENV] === undefined ? await outside() : await inside();
} catch (error) {
  const known = error instanceof RequirementError || error instanceof Interrupted;
  process.stderr.write(`${known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
process.stdout.write('', () => process.exit());
