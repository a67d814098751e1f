import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { podUidsOf, startTicksOf } from './proc-pid.ts';

/** A process that belongs to a pod, as /proc showed it at one moment. */
export interface PodProcess {
  readonly pid: number;
  readonly podUids: readonly string[];
  /** Device and inode of its network namespace. */
  readonly netns: string;
  /** Clock ticks since boot. */
  readonly startTicks: number;
}

/** At most so many processes are looked at in one scan, and so many at the same time. */
const MAX_PROCESSES = 131_072;
const PARALLEL = 8;

/** Looks once at every process of procRoot; one scan serves any number of pods. Processes that end meanwhile are left out. */
export async function scanPodProcesses(procRoot: string): Promise<readonly PodProcess[]> {
  const pids = (await readdir(procRoot)).filter((name) => /^\d{1,10}$/.test(name)).slice(0, MAX_PROCESSES);
  const found: PodProcess[] = [];
  const next = pids.values();
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (const pid of next) {
        const process = await podProcess(procRoot, Number(pid));
        if (process !== undefined) found.push(process);
      }
    }),
  );
  return found;
}

async function podProcess(procRoot: string, pid: number): Promise<PodProcess | undefined> {
  try {
    const podUids = podUidsOf(await readBounded(join(procRoot, String(pid), 'cgroup'), 64 * 1024));
    if (podUids.length === 0) return undefined;
    const [netns, startTicks] = await Promise.all([netnsOf(procRoot, pid), startTicksOfPid(procRoot, pid)]);
    return { pid, podUids, netns, startTicks };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Device and inode of the network namespace that the process (or `self`) is in; rejects when the process is gone. */
export async function netnsOf(procRoot: string, pid: number | 'self'): Promise<string> {
  const { dev, ino } = await stat(join(procRoot, String(pid), 'ns', 'net'), { bigint: true });
  return `${dev}:${ino}`;
}

/** Start time of the process; rejects when it is gone. */
export async function startTicksOfPid(procRoot: string, pid: number): Promise<number> {
  const ticks = startTicksOf(await readBounded(join(procRoot, String(pid), 'stat'), 64 * 1024));
  if (ticks === undefined) throw new Error(`the stat file of process ${pid} cannot be read`);
  return ticks;
}

/** Whether an error says that the process is not there any more (ESRCH: it ended while being read). */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ESRCH';
}

/** The code of a system error, e.g. `EACCES`. */
export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

/**
 * Reads a file of /proc, which has no size. `until` may cut the text and stop early, else at most maxBytes are read;
 * rejects when there is more.
 */
export async function readBounded(path: string, maxBytes: number, until?: (text: string) => string | undefined): Promise<string> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(64 * 1024);
    let text = '';
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return text;
      // The files of /proc that we read are ASCII.
      text += buffer.toString('latin1', 0, bytesRead);
      const cut = until?.(text);
      if (cut !== undefined) return cut;
      if (text.length > maxBytes) throw new Error(`${path} is longer than ${maxBytes} bytes`);
    }
  } finally {
    await file.close();
  }
}
