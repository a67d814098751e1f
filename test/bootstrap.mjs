// Runs on whatever Node the machine has: installs the dependencies when they are missing or stale, then runs the given
// TypeScript file with the project's own Node (the npm package "node"), which is what client-node 2 and undici 8 need.
// usage: node test/bootstrap.mjs FILE.ts [ARGUMENT ...]
import { createHash } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, 'node_modules', '.bin', 'node');
const stamp = join(root, 'node_modules', '.hot-switch-installed');

installDependencies();
runWithOwnNode(process.argv.slice(2));

function installDependencies() {
  const want = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return;
  process.stderr.write('Installing the npm packages (about 1 minute, once) ...\n');
  // Not "npm ci": a lock file made beside a registry without the packages of other platforms lacks them, and ci refuses that.
  const result = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (result.status !== 0) {
    process.stderr.write('npm install failed (see above); nothing was started.\n');
    process.exit(1);
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, want);
}

function runWithOwnNode(args) {
  // The package's own Node must also be what children find as "node".
  const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` };
  const child = spawn(node, args, { cwd: root, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
}
