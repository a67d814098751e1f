import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly timeoutMs?: number;
  /** It goes on when this process is killed: for what must not be cut off in the middle. Everything else ends with it. */
  readonly mayOutlive?: boolean;
}

/** Runs a program to its end and gives its standard output; throws with argv, exit code and the end of standard error. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(program, args, options);
  if (result.code !== 0) {
    throw new Error(`${program} ${args.join(' ').slice(0, 300)}: exit ${result.code ?? result.signal}\n${(result.stderr || result.stdout).slice(-2000)}`);
  }
  return result.stdout;
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Like `run`, but a failure is a result. Throws only when the program cannot be started. */
export function tryRun(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = options.mayOutlive === true ? [program, ...args] : ['setpriv', '--pdeathsig', 'KILL', program, ...args];
    const child = spawn(command ?? program, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL',
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', (cause) => reject(new Error(`cannot start ${program}: ${cause.message}`, { cause })));
    child.on('close', (code, signal) => resolve({ code, signal, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }));
    child.stdin.on('error', () => undefined); // a program that does not read its input closes it
    child.stdin.end(options.input ?? '');
  });
}
