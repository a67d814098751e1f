/** The process that shutdown.test.ts signals: writes each log message and each stop as a line. */
import { writeSync } from 'node:fs';
import { createLogger } from '../../../src/runtime/logger.ts';
import { onShutdown } from '../../../src/runtime/shutdown.ts';

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

const modes: Readonly<Record<string, () => Promise<void>>> = {
  good: async () => say('first stopped'),
  throws: () => Promise.reject(new Error('broken')),
  hangs: () => new Promise(() => {}),
  slow: () => {
    say('first stopping');
    return new Promise(() => {});
  },
};

const mode = process.argv[2] ?? '';
const log = createLogger('info', (line) => say((JSON.parse(line) as { message: string }).message));
onShutdown(
  [
    { name: 'first', stop: modes[mode] ?? (() => Promise.resolve()) },
    { name: 'second', stop: () => say('second stopped') },
  ],
  { log, boundMs: mode === 'hangs' ? 50 : 10_000 },
);
setInterval(() => {}, 1_000);
say('up');
