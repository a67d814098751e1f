import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './cluster/paths.ts';
import { ensureRequirements } from './cluster/requirements.ts';
import { labSuites } from './in-lab.ts';

/*
 * `npm test`: everything, in the order in which it fails soonest. Prints one closing line over all suites: "N passed, N failed".
 * A check that is no test suite (types, lint, format, generated files) counts as one test.
 */

interface Counts {
  passed: number;
  failed: number;
}

const JEST = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const BIN = join(ROOT, 'node_modules/.bin');
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  types: [join(BIN, 'tsc')],
  lint: [join(BIN, 'oxlint'), '--type-aware'],
  format: [join(BIN, 'oxfmt'), '--check'],
  'generated files': [process.execPath, 'src/tools/generate.ts', '--check'],
};

async function main(): Promise<number> {
  const results = mkdtempSync(join(tmpdir(), 'hot-switch-test-'));
  const counts: Counts = { passed: 0, failed: 0 };
  const startMs = Date.now();
  try {
    await ensureRequirements();
    for (const [name, argv] of Object.entries(CHECKS)) await check(name, argv, counts);
    await suite('unit tests', 'unit', [...JEST, 'test/unit'], results, counts);
    await inLabs(results, counts);
  } finally {
    rmSync(results, { recursive: true, force: true });
  }
  process.stderr.write(`\nAll of it took ${Math.round((Date.now() - startMs) / 1000)} s.\n`);
  process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
  return counts.failed === 0 ? 0 : 1;
}

async function check(name: string, argv: readonly string[], counts: Counts): Promise<void> {
  say(name);
  const good = (await run(argv)) === 0;
  counts[good ? 'passed' : 'failed'] += 1;
}

async function suite(title: string, name: string, argv: readonly string[], results: string, counts: Counts): Promise<void> {
  say(title);
  const file = join(results, `${name}.json`);
  const code = await run([process.execPath, ...argv, '--json', `--outputFile=${file}`]);
  add(counts, file, code);
}

async function inLabs(results: string, counts: Counts): Promise<void> {
  const folder = join(results, 'labs');
  mkdirSync(folder);
  const code = await run([process.execPath, 'test/in-lab.ts', '--json', folder]);
  // A suite that wrote no result did not run: `add` counts that as a failure.
  const before = counts.failed;
  for (const name of Object.keys(labSuites())) add(counts, join(folder, `${name}.json`), 0);
  if (code !== 0 && counts.failed === before) counts.failed += 1;
}

/** Adds what jest wrote; a run without a result, a suite that could not be loaded, or skipped tests count as failures. */
function add(counts: Counts, file: string, code: number): void {
  try {
    const result = JSON.parse(readFileSync(file, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
      numRuntimeErrorTestSuites: number;
      numPendingTests: number;
      numTodoTests: number;
    };
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites + result.numPendingTests + result.numTodoTests;
    counts.passed += result.numPassedTests;
    counts.failed += failed === 0 && code !== 0 ? 1 : failed;
  } catch {
    counts.failed += 1;
  }
}

/** Output of the parts goes to standard error: standard output holds the closing line alone. */
function run([program = '', ...args]: readonly string[]): Promise<number> {
  const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, pass);
      resolve(code ?? 1);
    });
  });
}

function say(what: string): void {
  process.stderr.write(`\n== ${what}\n`);
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
}
