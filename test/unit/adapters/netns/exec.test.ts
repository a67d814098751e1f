import { openSync, closeSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { run, type Argv, type RunOptions } from '../../../../src/adapters/netns/exec.ts';

const node = (script: string): Argv => [process.execPath, '-e', script];

describe('run', () => {
  const failures: Readonly<
    Record<
      string,
      { readonly argv: Argv; readonly options?: Partial<RunOptions> & { readonly stdin?: string }; readonly error: Readonly<Record<string, unknown>> }
    >
  > = {
    'a program that is not there': { argv: ['hot-switch-no-such-program'], error: { reason: 'spawn', cause: expect.objectContaining({ code: 'ENOENT' }) } },
    'an exit code other than 0': {
      argv: ['ls', '/no/such/path'],
      error: { reason: 'exit', exitCode: 2, signal: null, stderrTail: expect.stringContaining('/no/such/path') },
    },
    'a signal': { argv: node('process.kill(process.pid, "SIGTERM")'), error: { reason: 'exit', exitCode: null, signal: 'SIGTERM' } },
    'too slow': { argv: ['sleep', '30'], options: { timeoutMs: 50 }, error: { reason: 'timeout', signal: 'SIGKILL' } },
    'output without end': { argv: ['yes'], options: { maxOutputBytes: 1000 }, error: { reason: 'output', signal: 'SIGKILL' } },
    'a long complaint: its end is kept': {
      argv: node('console.error("x".repeat(9000) + " the end"); process.exit(3)'),
      error: { exitCode: 3, stderrTail: expect.stringMatching(/^x{2000,2048} the end$/) },
    },
    'input that is never read': { argv: ['false'], options: { stdin: 'x'.repeat(1_000_000) }, error: { reason: 'exit', exitCode: 1 } },
  };
  test.each(Object.entries(failures))('rejects: %s', async (_, { argv, options, error }) => {
    const start = performance.now();
    await expect(run(argv, { timeoutMs: 5000, ...options })).rejects.toMatchObject({ name: 'CommandError', argv, ...error });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('gives input, arguments as they are, and the inherited descriptor as 3; nothing of our environment', async () => {
    const fd = openSync(import.meta.filename, 'r');
    try {
      const script =
        'process.stdin.on("data", (d) => console.log(JSON.stringify([String(d), process.argv[1], require("fs").readlinkSync("/proc/self/fd/3"), Object.keys(process.env).sort()])))';
      const text = await run([process.execPath, '-e', script, '$(id); *'], { timeoutMs: 5000, stdin: 'hello', fds: [fd] });
      expect(JSON.parse(text)).toEqual(['hello', '$(id); *', import.meta.filename, ['LC_ALL', 'PATH']]);
    } finally {
      closeSync(fd);
    }
  });
});
