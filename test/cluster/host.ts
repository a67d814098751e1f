import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCgroups } from './namespaces.ts';
import { run } from './run.ts';

/** Addresses of the lab: ranges that RFC 2544 reserves for tests, inside the lab's own network namespace. */
export const NODE_IP = '198.18.128.1';
export const POD_CIDR = '198.18.0.0/24';
export const SERVICE_CIDR = '198.19.0.0/16';

/** Prepares the namespaces from inside: loopback, the node's address, folders that programs insist on. */
export async function prepareHost(id: string): Promise<void> {
  for (const folder of ['/run', '/var/log', '/var/lib']) await run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'lab', folder]);
  for (const folder of ['/run/netns', '/var/lib/kubelet', '/var/lib/cni', '/var/log/containers', '/var/log/pods']) mkdirSync(folder, { recursive: true });
  await run('ip', ['link', 'set', 'lo', 'up']);
  // A veth pair with both ends here: every kernel has it, unlike dummy, and an interface with a carrier takes a default route.
  await run('ip', ['link', 'add', 'lab0', 'type', 'veth', 'peer', 'name', 'lab1']);
  await run('ip', ['addr', 'add', `${NODE_IP}/24`, 'dev', 'lab0']);
  for (const end of ['lab0', 'lab1']) await run('ip', ['link', 'set', end, 'up']);
  await run('ip', ['route', 'add', 'default', 'dev', 'lab0']);
  await run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  makeCgroups(id);
}

export interface Daemon {
  readonly name: string;
  readonly process: ChildProcess;
  readonly logFile: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a long-running program with its output in a file. It ends with the command that made the lab, whatever happens. */
export function startDaemon(
  folder: string,
  name: string,
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Daemon {
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
    stdio: ['ignore', log, log],
    cwd: options.cwd ?? folder,
    env: options.env ?? process.env,
    detached: true, // Ctrl-C in the terminal must not reach it: the lab is taken down in order
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
    child.on('error', () => resolve());
  });
  return {
    name,
    process: child,
    logFile,
    stop: async (signal = 'SIGTERM') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** Waits until the check gives a value; throws with the end of the log when the program ends or the time is over. */
export async function until<T>(what: string, timeoutMs: number, check: () => Promise<T | undefined> | T | undefined, daemon?: Daemon): Promise<T> {
  const endMs = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < endMs) {
    if (daemon !== undefined && (daemon.process.exitCode !== null || daemon.process.signalCode !== null)) {
      last = new Error(`${daemon.name} ended`);
      break;
    }
    try {
      const value = await check();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const log = daemon === undefined ? '' : `\n--- end of ${daemon.logFile}\n${readFileSync(daemon.logFile, 'utf8').slice(-3000)}`;
  const reason = last instanceof Error ? `: ${last.message}` : '';
  throw new Error(`${what}: not ready within ${timeoutMs / 1000} s${reason}${log}`);
}
