import { KEY, plain, render, renderChanges, renderSeconds } from './render.ts';
import type { ScreenModel } from './render.ts';

/** Where a screen writes: process.stdout, or something like it. */
export interface Output {
  write(text: string): unknown;
  /** Read anew at every update, since windows are resized. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface ScreenOptions {
  readonly out: Output;
  /** At most; a narrower terminal wins. */
  readonly columns: number;
  /** False: plain lines when something changed, and every few seconds; not one escape code. */
  readonly isTTY: boolean;
  readonly colour: boolean;
}

/** The live display of the demo. */
export interface Screen {
  update(model: ScreenModel): void;
  /** Permanent lines, above the live block. */
  note(text: string): void;
  /** Leaves the last state standing, and the cursor visible. May be called twice. */
  close(): void;
}

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_BELOW = '\x1b[0J';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A pipe is told of so many seconds at once, and of a second only when so many more have begun: until then a request that hangs may still turn it. */
const SECONDS_AT_ONCE = 5;
const SETTLING_SECONDS = 2;

/** What a stream and an environment (NO_COLOR, TERM) say about how to write to it. */
export function screenOptions(out: Output & { readonly isTTY?: boolean | undefined }, env: Readonly<Record<string, string | undefined>>): ScreenOptions {
  const isTTY = out.isTTY === true && env['TERM'] !== 'dumb';
  return { out, columns: 80, isTTY, colour: isTTY && (env['NO_COLOR'] ?? '') === '' };
}

/** Creates the display that fits: a block redrawn in place on a terminal, plain lines in a pipe. */
export function createScreen(options: ScreenOptions): Screen {
  return options.isTTY ? createLiveScreen(options) : createPlainScreen(options);
}

function createLiveScreen({ out, columns, colour }: ScreenOptions): Screen {
  let model: ScreenModel | undefined;
  /** Visible width of each line of the block that stands on the terminal. */
  let drawn: readonly number[] = [];
  let closed = false;

  /** A terminal made narrower since has broken the lines: the block then stands on more rows than it has lines. */
  function erase(): string {
    const width = out.columns ?? columns;
    const rows = drawn.reduce((sum, length) => sum + Math.max(1, Math.ceil(length / width)), 0);
    return rows === 0 ? '' : `\x1b[${rows}A\r${CLEAR_BELOW}`;
  }

  function draw(): string {
    if (model === undefined) return '';
    const width = Math.min(columns, out.columns ?? columns);
    // A block taller than the terminal could not be erased: its top scrolls out of reach.
    const height = Math.max(1, (out.rows ?? Infinity) - 1);
    const lines = render(model, width, colour).slice(0, height);
    drawn = render(model, width, false)
      .slice(0, height)
      .map((line) => line.length);
    return lines.map((line) => `${line}\n`).join('');
  }

  function restore(): void {
    if (!closed) out.write(SHOW_CURSOR);
  }
  function onSignal(signal: NodeJS.Signals): void {
    close();
    // With nobody else to decide, the signal does what it would have done without us.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  }
  function close(): void {
    restore();
    closed = true;
    process.off('exit', restore);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }

  process.on('exit', restore);
  for (const signal of SIGNALS) process.on(signal, onSignal);
  out.write(HIDE_CURSOR);
  return {
    update(next) {
      if (closed) return;
      model = next;
      out.write(erase() + draw());
    },
    note(text) {
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => `${plain(line).trimEnd()}\n`);
      out.write(closed ? lines.join('') : erase() + lines.join('') + draw());
    },
    close,
  };
}

function createPlainScreen({ out, columns }: ScreenOptions): Screen {
  let model: ScreenModel | undefined;
  let told = 0;

  function print(lines: readonly string[]): void {
    if (lines.length > 0) out.write(lines.map((line) => `${line.trimEnd()}\n`).join(''));
  }
  function tellSeconds(next: ScreenModel, settling: number, atOnce: number): void {
    const known = Math.max(0, ...next.arms.flatMap((arm) => arm.clients.map((client) => client.cells.length))) - settling;
    while (known - told >= atOnce) {
      if (told === 0) print([KEY]);
      const until = Math.min(known, told + SECONDS_AT_ONCE);
      print(renderSeconds(next, told, until, columns));
      told = until;
    }
  }

  return {
    update(next) {
      print(renderChanges(next, model, columns));
      tellSeconds(next, SETTLING_SECONDS, SECONDS_AT_ONCE);
      model = next;
    },
    note(text) {
      print(text.trimEnd().split('\n').map(plain));
    },
    close() {
      if (model !== undefined) tellSeconds(model, 0, 1);
      model = undefined;
    },
  };
}
