import { afterEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { KEY, render } from '../../demo/render.ts';
import { createScreen, screenOptions } from '../../demo/screen.ts';
import type { Screen, ScreenOptions } from '../../demo/screen.ts';
import { makeArm, makeModel } from './models.ts';

const SHOW_CURSOR = '\x1b[?25h';

/** As much of a terminal as the screen uses: it shows what a person would see. Lines wider than the terminal take several rows. */
class Terminal {
  columns: number;
  rows: number | undefined;
  written = '';
  constructor(columns = 80, rows?: number) {
    this.columns = columns;
    this.rows = rows;
  }
  write(text: string): void {
    this.written += text;
  }
  get lines(): readonly string[] {
    const lines = [''];
    let [row, column] = [0, 0];
    // oxlint-disable-next-line no-control-regex -- escape codes are what is read here
    for (const [token, up] of this.written.matchAll(/\x1b\[(\d+)A|\x1b\[[?\d;]*[a-zA-Z]|[^\x1b]/g)) {
      if (up !== undefined) row = Math.max(0, row - Number(up));
      else if (token === '\x1b[0J') lines.splice(row, Infinity, (lines[row] ?? '').slice(0, column));
      else if (token === '\r') column = 0;
      else if (token === '\n') [row, column] = [row + 1, 0];
      else if (!token.startsWith('\x1b')) {
        if (column === this.columns) [row, column] = [row + 1, 0];
        const line = lines[row] ?? '';
        lines[row] = `${line.slice(0, column).padEnd(column)}${token}${line.slice(column + 1)}`;
        column += 1;
      }
      while (lines.length <= row) lines.push('');
    }
    return lines.slice(0, -1);
  }
  get cursorVisible(): boolean {
    return this.written.lastIndexOf(SHOW_CURSOR) >= this.written.lastIndexOf('\x1b[?25l');
  }
}

const open: Screen[] = [];
afterEach(() => {
  for (const screen of open.splice(0)) screen.close();
});

function openScreen(options: Partial<ScreenOptions> & Pick<ScreenOptions, 'out'>): Screen {
  const screen = createScreen({ columns: 80, isTTY: true, colour: false, ...options });
  open.push(screen);
  return screen;
}

describe('on a terminal', () => {
  test('the latest state stands below all notes, whatever came in between', () => {
    const out = new Terminal();
    const screen = openScreen({ out });
    screen.note('before');
    screen.update(makeModel({ caption: 'first' }));
    screen.note('$ kubectl get pods\nNAME    READY\nshop-0  1/2\n');
    screen.update(makeModel({ caption: 'a taller one', arms: [makeArm('with', '#', '#', { pods: ['shop-0', 'shop-1', 'shop-2'] })] }));
    screen.note('after');
    screen.update(makeModel());
    screen.close();
    expect(out.lines).toEqual(['before', '$ kubectl get pods', 'NAME    READY', 'shop-0  1/2', 'after', ...render(makeModel(), 80, false)]);
    expect(out.cursorVisible).toBe(true);
  });

  test('colour is taken out of the count of what stands there', () => {
    const out = new Terminal(80);
    const screen = openScreen({ out, colour: true });
    screen.note('above');
    const model = makeModel({ arms: [makeArm('with', '#.'.repeat(40), '#+'.repeat(40))] });
    for (let index = 0; index < 3; index += 1) screen.update(model);
    expect(out.lines).toEqual(['above', ...render(model, 80, false)]);
  });

  test('a window made narrower: lines are no wider, and what stood there is gone', () => {
    const out = new Terminal(80);
    const screen = openScreen({ out });
    screen.update(makeModel());
    out.columns = 40;
    screen.update(makeModel());
    expect(out.lines).toEqual(render(makeModel(), 40, false));
  });

  test('a window lower than the block: its top is shown, and redrawn in place', () => {
    const out = new Terminal(80, 6);
    const screen = openScreen({ out });
    screen.update(makeModel({ caption: 'first' }));
    screen.update(makeModel());
    expect(out.lines).toEqual(render(makeModel(), 80, false).slice(0, 5));
  });

  test('a note cannot move the cursor', () => {
    const out = new Terminal();
    const screen = openScreen({ out });
    screen.note('a\x1b[5Ab\rc');
    expect(out.lines).toEqual(['a [5Ab c']);
  });

  test('closed, it draws no more, and leaves no handler behind', () => {
    const handlers = (): readonly number[] => ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP'].map((event) => process.listenerCount(event));
    const before = handlers();
    const out = new Terminal();
    const screen = openScreen({ out });
    screen.update(makeModel());
    screen.close();
    screen.close();
    const { written } = out;
    screen.update(makeModel({ caption: 'too late' }));
    expect(out.written).toBe(written);
    screen.note('goodbye');
    expect(out.lines.at(-1)).toBe('goodbye');
    expect(handlers()).toEqual(before);
  });

  test.each(
    Object.entries({
      'SIGINT ends the process as it would have without a screen': { argument: 'waits', signal: 'SIGINT' as const, want: 'SIGINT' },
      'so does SIGTERM': { argument: 'waits', signal: 'SIGTERM' as const, want: 'SIGTERM' },
      'a handler of the program decides, if it has one': { argument: 'decides', signal: 'SIGINT' as const, want: 7 },
      'an exception ends it as ever': { argument: 'throws', signal: undefined, want: 1 },
    }),
  )('%s; the cursor is visible again', async (_, { argument, signal, want }) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./interrupted.ts', import.meta.url)), argument], { stdio: ['ignore', 'pipe', 'ignore'] });
    let written = '';
    child.stdout.on('data', (chunk) => {
      if (written === '' && signal !== undefined) child.kill(signal);
      written += String(chunk);
    });
    const [code, endedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    expect(code ?? endedBy).toBe(want);
    expect(written.endsWith(SHOW_CURSOR)).toBe(true);
  });
});

describe('in a pipe', () => {
  test('changes at once, timelines every five seconds and only when settled, the rest at the end; not one escape code', () => {
    const out = new Terminal();
    const screen = openScreen({ out, isTTY: false, colour: true });
    const signs = '####+.......';
    for (let second = 0; second <= signs.length; second += 1) {
      const known = signs.slice(0, second);
      screen.update({ elapsedMs: second * 1000, caption: second < 5 ? 'all is well' : 'killed', arms: [makeArm('without', known, known)] });
      if (second === 8) screen.note('$ kubectl get pods\nNAME\n');
    }
    screen.close();
    screen.close();
    expect(out.written.split('\n')).toEqual([
      '00:00  all is well',
      '00:00  without: pod shop-0 2/2 Running',
      '00:00  without: endpoints 198.18.0.5 ready',
      '00:05  killed',
      KEY,
      '00:00-00:05  without  plain ####+  meshed ####+',
      '$ kubectl get pods',
      'NAME',
      '00:05-00:10  without  plain .....  meshed .....',
      '00:10-00:12  without  plain ..  meshed ..',
      '',
    ]);
  });

  test('updates that come late are told of in lines of five seconds all the same', () => {
    const out = new Terminal();
    const screen = openScreen({ out, isTTY: false });
    screen.update(makeModel({ arms: [makeArm('with', '#'.repeat(17), '#'.repeat(17))] }));
    expect(out.lines.filter((line) => /^\d\d:\d\d-/.test(line)).map((line) => line.slice(0, 11))).toEqual(['00:00-00:05', '00:05-00:10', '00:10-00:15']);
  });
});

test.each(
  Object.entries({
    'a terminal: live, in colour': { isTTY: true, env: { TERM: 'xterm' }, want: { isTTY: true, colour: true } },
    'a terminal, NO_COLOR set: live, without': { isTTY: true, env: { NO_COLOR: '1' }, want: { isTTY: true, colour: false } },
    'NO_COLOR set to nothing is not set': { isTTY: true, env: { NO_COLOR: '' }, want: { isTTY: true, colour: true } },
    'a dumb terminal: like a pipe': { isTTY: true, env: { TERM: 'dumb' }, want: { isTTY: false, colour: false } },
    'a pipe: plain': { isTTY: undefined, env: { TERM: 'xterm' }, want: { isTTY: false, colour: false } },
  }),
)('screenOptions, %s', (_, { isTTY, env, want }) => {
  const out = { write: () => true, isTTY };
  expect(screenOptions(out, env)).toEqual({ out, columns: 80, ...want });
});
