import { spawn, type ChildProcess } from 'node:child_process';

/** The only environment that commands get: nothing of ours can change how they behave. */
export const COMMAND_ENV: Readonly<Record<string, string>> = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

export type Argv = readonly [command: string, ...args: string[]];

export interface RunOptions {
  /** After this the process is killed and the promise rejects. */
  readonly timeoutMs: number;
  /** Descriptors of ours that the process gets as 3, 4, ... */
  readonly fds?: readonly number[];
  /** Of stdout; more than that is an error. 4 MiB when not given. */
  readonly maxOutputBytes?: number;
}

const STDERR_TAIL_LENGTH = 2048;

/** A command that did not start, did not end well, not in time, or said too much. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly argv: Argv;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderrTail: string;
  readonly reason: 'spawn' | 'exit' | 'timeout' | 'output';

  constructor(reason: CommandError['reason'], argv: Argv, end: { exitCode: number | null; signal: string | null; stderrTail: string; cause?: unknown }) {
    const how = {
      spawn: 'could not be started',
      exit: `ended with ${end.signal ?? `code ${end.exitCode}`}`,
      timeout: 'took too long',
      output: 'wrote too much',
    };
    super(`${argv.join(' ')} ${how[reason]}${end.stderrTail === '' ? '' : `: ${end.stderrTail}`}`, end.cause === undefined ? {} : { cause: end.cause });
    this.reason = reason;
    this.argv = argv;
    this.exitCode = end.exitCode;
    this.signal = end.signal;
    this.stderrTail = end.stderrTail;
  }
}

/** A command that runs and waits for its input. */
export interface StartedCommand {
  /** Gives it its input, all of it; then as `run`. */
  finish(stdin: string): Promise<string>;
}

/** Runs a command without a shell and gives its stdout; rejects with a CommandError unless it exits with 0. */
export async function run(argv: Argv, options: RunOptions & { readonly stdin?: string }): Promise<string> {
  return start(argv, options).finish(options.stdin ?? '');
}

/** Starts a command whose input comes later; its time runs from now on. Without `finish` it is ended when that is over. */
export function start(argv: Argv, options: RunOptions): StartedCommand {
  const [command, ...args] = argv;
  const child = spawn(command, args, { env: COMMAND_ENV, stdio: ['pipe', 'pipe', 'pipe', ...(options.fds ?? [])] });
  // A command that ends without reading its input is told by its exit code.
  child.stdin?.on('error', () => undefined);
  const ended = new Promise<string>((resolve, reject) => collect(child, argv, options, { resolve, reject }));
  // Whoever finishes it hears of a failure; without that there is nobody to hear.
  ended.catch(() => undefined);
  return {
    finish(stdin) {
      child.stdin?.end(stdin);
      return ended;
    },
  };
}

function collect(child: ChildProcess, argv: Argv, options: RunOptions, settle: { resolve(text: string): void; reject(error: CommandError): void }): void {
  const maxBytes = options.maxOutputBytes ?? 4 * 1024 * 1024;
  const stdout: Buffer[] = [];
  let bytes = 0;
  let stderr = '';
  const fail = (reason: CommandError['reason'], exitCode: number | null, signal: string | null, cause?: unknown): void => {
    clearTimeout(timer);
    settle.reject(new CommandError(reason, argv, { exitCode, signal, stderrTail: stderr.trim(), cause }));
  };
  const stop = (reason: 'timeout' | 'output'): void => {
    kill(child);
    fail(reason, null, 'SIGKILL');
  };
  const timer = setTimeout(() => stop('timeout'), options.timeoutMs);
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) stop('output');
    else stdout.push(chunk);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_TAIL_LENGTH);
  });
  child.on('error', (cause) => fail('spawn', null, null, cause));
  child.on('close', (code, signal) => {
    if (code !== 0) return fail('exit', code, signal);
    clearTimeout(timer);
    settle.resolve(Buffer.concat(stdout).toString('utf8'));
  });
}

function kill(child: ChildProcess): void {
  child.kill('SIGKILL');
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
}
