import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const FIXTURE = fileURLToPath(new URL('shutdown-process.ts', import.meta.url));

/** Runs a real process; sends each signal once the process has written the line before it. */
function run(mode: string, signals: Readonly<Record<string, NodeJS.Signals>>): Promise<{ code: number | null; output: string[] }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [FIXTURE, mode], { stdio: ['ignore', 'pipe', 'inherit'] });
    const output: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter(Boolean)) {
        output.push(line);
        const signal = signals[line];
        if (signal !== undefined) child.kill(signal);
      }
    });
    child.on('error', reject).on('close', (code) => resolve({ code, output }));
  });
}

describe('onShutdown', () => {
  const cases: Readonly<Record<string, { mode: string; signals: Record<string, NodeJS.Signals>; want: { code: number; output: string[] } }>> = {
    'a stop that throws does not keep the next from running': {
      mode: 'throws',
      signals: { up: 'SIGTERM' },
      want: { code: 0, output: ['up', 'stopping', 'stop failed', 'second stopped', 'stopped'] },
    },
    'a stop that hangs is left behind when time is up': {
      mode: 'hangs',
      signals: { up: 'SIGTERM' },
      want: { code: 1, output: ['up', 'stopping', 'did not stop in time'] },
    },
    'a second signal exits at once': {
      mode: 'slow',
      signals: { up: 'SIGTERM', 'first stopping': 'SIGINT' },
      want: { code: 130, output: ['up', 'stopping', 'first stopping'] },
    },
    'SIGINT runs the stops in order and exits 0': {
      mode: 'good',
      signals: { up: 'SIGINT' },
      want: { code: 0, output: ['up', 'stopping', 'first stopped', 'second stopped', 'stopped'] },
    },
  };
  test.concurrent.each(Object.entries(cases))('%s', async (_sentence, { mode, signals, want }) => {
    expect(await run(mode, signals)).toEqual(want);
  });
});
