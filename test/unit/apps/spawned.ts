import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DEADLINE_MS = 20_000;

/** A real process of one of the apps, running on loopback. */
export interface Spawned {
  /** What its start line said. */
  readonly started: Readonly<Record<string, unknown>>;
  /** Lines on stdout so far. */
  readonly lines: readonly string[];
  kill(signal: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

/** Runs an app until it has written its start line (a JSON object with a message), on stdout or stderr. Whatever is left is killed by killSpawned. */
export async function spawnApp(name: 'shop' | 'client', env: Readonly<Record<string, string>>): Promise<Spawned> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../apps/${name}.ts`, import.meta.url))], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const ended = once(child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => {
    running.delete(child);
    return code ?? signal ?? null;
  });
  const lines: string[] = [];
  let started: Readonly<Record<string, unknown>> | undefined;
  let complaint = '';
  createInterface(child.stdout).on('line', (line) => {
    if (line.startsWith('{"message"')) started = JSON.parse(line);
    else lines.push(line);
  });
  createInterface(child.stderr).on('line', (line) => {
    if (line.startsWith('{"message"')) started = JSON.parse(line);
    else complaint += `${line}\n`;
  });
  await until(() => started !== undefined || !running.has(child));
  if (started === undefined) throw new Error(`exit ${await ended}: ${complaint}`);
  return { started, lines, ended, kill: (signal) => child.kill(signal) };
}

const running = new Set<{ kill(signal: NodeJS.Signals): boolean }>();

/** Ends the apps that a test left. */
export function killSpawned(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Waits for something that becomes true by itself; the deadline only catches what never does. */
export async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > deadlineMs) throw new Error(`still not so after ${DEADLINE_MS} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
