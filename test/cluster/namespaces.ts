import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LAB_ENV, LABS, ROOT } from './paths.ts';

/*
 * A lab lives in network, PID and mount namespaces of its own, whose first process is a child of the command that wants it.
 * When that command ends, however it ends, the kernel ends every process of the lab, and with them go mounts and interfaces.
 * What is left (a folder, cgroups) is removed at the end of the command, or at the next start.
 */

interface LabFile {
  readonly id: string;
  /** PID of the command, and its start time from /proc/PID/stat, since PIDs are reused. */
  readonly pid: number;
  readonly started: string;
}

/** Makes a lab's namespaces and runs the TypeScript file in them, with this Node and its standard streams; gives its exit code. */
export async function runInNewLab(file: string, args: readonly string[]): Promise<number> {
  sweepDeadLabs();
  const id = `hs${randomBytes(3).toString('hex')}`;
  const folder = join(LABS, id);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const record: LabFile = { id, pid: process.pid, started: startTime(process.pid) ?? '' };
  writeFileSync(join(folder, 'lab.json'), JSON.stringify(record));
  try {
    return await inNamespaces(folder, file, args);
  } finally {
    removeLab(id);
  }
}

/** PID 1 is a shell, since it must reap what containers leave behind; the last line keeps it from replacing itself by the command. */
const INIT = '"$@"; code=$?; exit $code';

function inNamespaces(folder: string, file: string, args: readonly string[]): Promise<number> {
  const unshare = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private', '--'];
  const inner = ['bash', '-c', INIT, 'lab', process.execPath, file, ...args];
  const env = { ...process.env, [LAB_ENV]: folder };
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...unshare, ...inner], { cwd: ROOT, stdio: 'inherit', env });
  writeFileSync(join(folder, 'unshare.pid'), String(child.pid));
  // The signal of a terminal reaches the command inside by itself; one sent to this process alone is passed on to the whole lab.
  const pass = (signal: NodeJS.Signals) => (): void => signalInner(folder, signal);
  const handlers = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map(
    (signal) => [signal, signal === 'SIGINT' && process.stdin.isTTY ? () => undefined : pass(signal)] as const,
  );
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return new Promise((resolve, reject) => {
    child.on('error', (cause) => reject(new Error(`cannot make the lab's namespaces: ${cause.message}`, { cause })));
    child.on('exit', (code) => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
      resolve(code ?? 1);
    });
  });
}

function signalInner(folder: string, signal: NodeJS.Signals): void {
  const init = initOf(folder);
  const inner = init === undefined ? undefined : childrenOf(init)[0];
  if (inner !== undefined) process.kill(inner, signal);
}

/** PID, as seen from outside, of the lab's first process. */
export function initOf(folder: string): number | undefined {
  try {
    return childrenOf(Number(readFileSync(join(folder, 'unshare.pid'), 'utf8')))[0];
  } catch {
    return undefined;
  }
}

/** The folder of a lab that runs on this machine now, if any. */
export function findRunningLab(): string | undefined {
  return labs().find(({ record }) => isAlive(record))?.folder;
}

/** Ends a running lab from outside and waits until it is gone. */
export async function endLab(folder: string): Promise<void> {
  const record = readRecord(folder);
  if (record === undefined || !isAlive(record)) return;
  signalInner(folder, 'SIGTERM');
  for (let i = 0; i < 300 && existsSync(folder); i++) await new Promise((resolve) => setTimeout(resolve, 100));
  if (existsSync(folder)) throw new Error(`the lab ${record.id} did not end within 30 s; its command has PID ${record.pid}`);
}

/** Removes what labs of dead commands left behind: never anything of a running one. */
export function sweepDeadLabs(): void {
  for (const { folder, record } of labs()) {
    if (!isAlive(record)) removeLab(record.id, folder);
  }
}

function labs(): { folder: string; record: LabFile }[] {
  if (!existsSync(LABS)) return [];
  return readdirSync(LABS).flatMap((name) => {
    const folder = join(LABS, name);
    const record = readRecord(folder);
    return record === undefined ? [] : [{ folder, record }];
  });
}

function readRecord(folder: string): LabFile | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, 'lab.json'), 'utf8')) as LabFile;
    return /^hs[0-9a-f]{6}$/.test(record.id) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(record: LabFile): boolean {
  return record.started !== '' && startTime(record.pid) === record.started;
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]; // field 22, starttime
  } catch {
    return undefined;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function removeLab(id: string, folder = join(LABS, id)): void {
  for (const root of cgroupRoots()) removeCgroup(join(root, id));
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

/** The mounted cgroup hierarchies: one with version 2, one for each controller with version 1. */
export function cgroupRoots(): string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, path]) => path ?? '')
    .filter((path) => path.startsWith('/sys/fs/cgroup'));
}

/** A cgroup folder is removed from its leaves up; processes that just died may keep it busy for a moment. */
function removeCgroup(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
}

/** Makes the lab's cgroup in every hierarchy, so that its kubelet shares none with another. Called inside. */
export function makeCgroups(id: string): void {
  for (const root of cgroupRoots()) {
    const path = join(root, id);
    mkdirSync(path, { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const from = join(dirname(path), file);
      if (existsSync(join(path, file)) && existsSync(from)) writeFileSync(join(path, file), readFileSync(from, 'utf8').trim());
    }
  }
}
