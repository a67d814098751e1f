import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildImages } from '../cluster/images.ts';
import { buildPrograms } from '../cluster/build.ts';
import { runInNewLab } from '../cluster/namespaces.ts';
import { LAB_ENV, ROOT } from '../cluster/paths.ts';
import { ensureRequirements } from '../cluster/requirements.ts';

/*
 * Runs end-to-end test files, each in a lab of its own. usage: node test/e2e/main.ts [--json FOLDER] [NAME ...]
 * A NAME is the part of a file's name before .test.ts; all files without one. With --json, jest's results go to FOLDER/NAME.json.
 */

const JEST = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand', '--forceExit'];

async function main(argv: readonly string[]): Promise<number> {
  if (process.env[LAB_ENV] !== undefined) return jest(argv);
  const json = argv[0] === '--json' ? argv[1] : undefined;
  const chosen = json === undefined ? argv : argv.slice(2);
  const names = readdirSync(join(ROOT, 'test/e2e')).flatMap((file) => (file.endsWith('.test.ts') ? [file.slice(0, -'.test.ts'.length)] : []));
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`there is no test/e2e/${unknown}.test.ts; there are ${names.join(', ')}`);
  await ensureRequirements();
  await buildImages(await buildPrograms());
  let failed = 0;
  for (const name of chosen.length > 0 ? chosen : names) {
    process.stderr.write(`\n== end to end: ${name}\n`);
    const output = json === undefined ? [] : ['--json', `--outputFile=${join(json, `e2e-${name}.json`)}`];
    const code = await runInNewLab(import.meta.filename, [...output, `test/e2e/${name}.test.ts`]);
    if (code !== 0) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

/** Inside a lab: jest on one file; its standard output is for people, so it goes where progress goes. */
function jest(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...JEST, ...args], { cwd: ROOT, stdio: ['inherit', 2, 2] });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
