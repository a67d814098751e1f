import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { buildImages } from './images.ts';
import { buildPrograms } from './build.ts';
import { startCluster, stopCluster } from './cluster.ts';
import { endLab, findRunningLab, initOf, runInNewLab, sweepDeadLabs } from './namespaces.ts';
import { LAB_ENV } from './paths.ts';
import { ensureRequirements, RequirementError } from './requirements.ts';

const USAGE = `usage: npm run cluster -- COMMAND
  up            a real cluster in a box, in the foreground: Ctrl-C (or "down" elsewhere) ends it
  down          end the running cluster, and remove what dead ones left
  kubectl ...   the cluster's kubectl
  enter [...]   a shell (or a command) on the cluster's node: its network, its processes
  build         only build what "up" needs
`;

/** `npm run cluster`. */
async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'up':
      return process.env[LAB_ENV] === undefined ? up() : upInside();
    case 'build':
      await prepare();
      return 0;
    case 'down': {
      const folder = findRunningLab();
      if (folder === undefined) process.stderr.write('No cluster is running.\n');
      else await endLab(folder);
      sweepDeadLabs();
      return 0;
    }
    case 'kubectl':
      return enter((folder, programs) => [programs.kubernetes, 'kubectl', '--kubeconfig', join(folder, 'admin.kubeconfig'), ...rest]);
    case 'enter':
      return enter(() => (rest.length === 0 ? ['bash'] : rest));
    case undefined:
    case 'help':
    case '--help':
      process.stderr.write(USAGE);
      return 0;
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

/** Everything that must be there before a lab starts. */
async function prepare(): Promise<void> {
  await ensureRequirements();
  await buildImages(await buildPrograms());
}

async function up(): Promise<number> {
  if (findRunningLab() !== undefined) {
    process.stderr.write('A cluster is running already; end it with: npm run cluster -- down\n');
    return 1;
  }
  await prepare();
  return runInNewLab(import.meta.filename, ['up']);
}

async function upInside(): Promise<number> {
  const cluster = await startCluster();
  process.stderr.write(
    '\nThe cluster is up. In another terminal:\n  npm run -s cluster -- kubectl get pods -A\n  npm run -s cluster -- down\nCtrl-C ends it.\n',
  );
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    setInterval(() => undefined, 60_000);
  });
  await stopCluster(cluster);
  return 0;
}

async function enter(command: (folder: string, programs: { kubernetes: string }) => readonly string[]): Promise<number> {
  const folder = findRunningLab();
  const init = folder === undefined ? undefined : initOf(folder);
  if (folder === undefined || init === undefined) {
    process.stderr.write('No cluster is running; start one with: npm run cluster -- up\n');
    return 1;
  }
  const argv = command(folder, await buildPrograms());
  const child = spawn('nsenter', ['-t', String(init), '-n', '-m', '-p', '--', ...argv], {
    stdio: 'inherit',
    env: { ...process.env, [LAB_ENV]: folder, KUBECONFIG: join(folder, 'admin.kubeconfig') },
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`${error instanceof RequirementError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
