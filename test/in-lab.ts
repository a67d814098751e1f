import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildImages } from './cluster/images.ts';
import { buildPrograms } from './cluster/build.ts';
import { runInNewLab } from './cluster/namespaces.ts';
import { LAB_ENV, ROOT } from './cluster/paths.ts';
import { ensureRequirements } from './cluster/requirements.ts';
import { run } from './cluster/run.ts';

/*
 * Runs tests that need root, each suite in namespaces of its own, which take every process, mount and interface with them.
 * usage: node test/in-lab.ts [--json FOLDER] [SUITE ...]; a SUITE is "netns" or the name of a file in test/e2e; all without one.
 * With --json, jest's results go to FOLDER/SUITE.json.
 */

const JEST = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand', '--forceExit'];

/** Every suite and what jest is given for it. */
export function labSuites(): Readonly<Record<string, string>> {
  const e2e = readdirSync(join(ROOT, 'test/e2e')).filter((file) => file.endsWith('.test.ts'));
  return { netns: 'test/netns', ...Object.fromEntries(e2e.map((file) => [basename(file, '.test.ts'), `test/e2e/${file}`])) };
}

async function main(argv: readonly string[]): Promise<number> {
  if (process.env[LAB_ENV] !== undefined) return jest(argv);
  const json = argv[0] === '--json' ? argv[1] : undefined;
  const suites = labSuites();
  const names = json === undefined ? argv : argv.slice(2);
  const unknown = names.find((name) => !Object.hasOwn(suites, name));
  if (unknown !== undefined) throw new Error(`there is no suite ${unknown}; there are ${Object.keys(suites).join(', ')}`);
  await ensureRequirements();
  const programs = await buildPrograms();
  await buildImages(programs);
  process.env['HOT_SWITCH_ISTIO_BINARY'] = programs.istio;
  let failed = 0;
  for (const name of names.length > 0 ? names : Object.keys(suites)) {
    process.stderr.write(`\n== ${name}, in a lab of its own\n`);
    const output = json === undefined ? [] : ['--json', `--outputFile=${join(json, `${name}.json`)}`];
    if ((await runInNewLab(import.meta.filename, [...output, suites[name] ?? ''])) !== 0) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

/** Inside a lab: jest on one suite; its standard output is for people, so it goes where progress goes. */
async function jest(args: readonly string[]): Promise<number> {
  // Names of network namespaces are files below /run: they must not stay on the machine either.
  if (existsSync('/run')) await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'lab', '/run']);
  const child = spawn(process.execPath, [...JEST, ...args], { cwd: ROOT, stdio: ['inherit', 2, 2] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
