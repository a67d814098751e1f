import { describe, expect, test } from '@jest/globals';
import { stripVTControlCharacters } from 'node:util';
import { clockText, plain, render, renderChanges, renderSeconds } from '../../demo/render.ts';
import type { ScreenModel } from '../../demo/render.ts';
import { cells, makeArm, makeModel } from './models.ts';

const LONG = 'a very long line about a pod, with restarts, ready containers, gates and traffic, that no screen of eighty columns could hold at once';

test('render: both arms, their timelines, pods and endpoints', () => {
  expect(`\n${render(makeModel(), 60, false).join('\n')}\n`).toBe(`
00:07  both sidecars are killed

without hot-switch
  plain   ####+..                                 100 failed
  meshed  ####...                                 150 failed
  pod        shop-0 2/2 Running
  endpoints  none

with hot-switch
  plain   ####+##                                   0 failed
  meshed  ####+##                                   0 failed
  pod        shop-0 2/2 Running
  endpoints  198.18.0.5 ready

# all answered   + some failed   . none answered   one sign~
`);
});

const MODELS: Readonly<Record<string, ScreenModel>> = {
  'as usual': makeModel(),
  'before anything is known': makeModel({ elapsedMs: 0, caption: '', arms: [makeArm('without', '', '', { pods: [], endpoints: '' })] }),
  'no arms': makeModel({ arms: [] }),
  'after ten minutes': makeModel({ elapsedMs: 600_000, arms: [makeArm('with', '#'.repeat(600), '.'.repeat(600))] }),
  'long words from elsewhere': makeModel({ caption: LONG, arms: [makeArm(LONG, '#', '+', { pods: [LONG, LONG.replaceAll(' ', '')], endpoints: LONG })] }),
  'control characters from elsewhere': makeModel({
    caption: 'a\x1b[2Jb\nc',
    arms: [makeArm('t\x07', '#', '+', { pods: ['p\r\x9b1A'], endpoints: '\x1b]0;x\x07' })],
  }),
};

describe.each(Object.entries(MODELS))('render, %s', (_, model) => {
  test.each([10, 40, 79, 80, 200])('no line is wider than %d columns, none has a control character, colour changes no sign', (width) => {
    const lines = render(model, width, false);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    expect(lines.filter((line) => line !== plain(line))).toEqual([]);
    expect(render(model, width, true).map(stripVTControlCharacters)).toEqual(lines);
  });
});

test('render: only the latest seconds are shown where there is no room for all', () => {
  const model = makeModel({ arms: [makeArm('with', `${'#'.repeat(100)}...`, '')] });
  const line = render(model, 80, false).find((candidate) => candidate.startsWith('  plain'));
  expect(line).toBe(`  plain   ${'#'.repeat(54)}...   150 failed`);
});

test('render: a text too long for one line goes on below', () => {
  const lines = render(makeModel({ arms: [makeArm('with', '#', '#', { pods: [LONG] })] }), 60, false);
  const start = lines.findIndex((line) => line.startsWith('  pod'));
  expect(
    lines
      .slice(start, start + 3)
      .map((line) => line.slice(13))
      .join(' '),
  ).toBe(LONG);
});

test('render: colours what is good, mixed and bad, each run once', () => {
  const line = render(makeModel({ arms: [makeArm('with', '##+..', '')] }), 80, true).find((candidate) => candidate.startsWith('  plain'));
  expect(line).toContain('\x1b[32m##\x1b[0m\x1b[33m+\x1b[0m\x1b[31m..\x1b[0m');
});

describe('renderChanges', () => {
  test.each(
    Object.entries({
      'everything is new at first': {
        before: undefined,
        want: [
          '00:07  both sidecars are killed',
          '00:07  without hot-switch: pod shop-0 2/2 Running',
          '00:07  without hot-switch: endpoints none',
          '00:07  with hot-switch: pod shop-0 2/2 Running',
          '00:07  with hot-switch: endpoints 198.18.0.5 ready',
        ],
      },
      'nothing changed: nothing is said': { before: makeModel({ elapsedMs: 0 }), want: [] },
      'the timelines alone are no change': { before: makeModel({ arms: [makeArm('a', '', '', { endpoints: 'none' }), makeArm('b', '', '')] }), want: [] },
      'another caption': { before: makeModel({ caption: 'all is well' }), want: ['00:07  both sidecars are killed'] },
      'other endpoints of one arm': {
        before: makeModel({ arms: [makeArm('without hot-switch', '', ''), makeArm('with hot-switch', '', '')] }),
        want: ['00:07  without hot-switch: endpoints none'],
      },
    }),
  )('%s', (_, { before, want }) => {
    expect(renderChanges(makeModel(), before, 80)).toEqual(want);
  });

  test('what does not fit into a line goes on below, nothing is lost', () => {
    const lines = renderChanges(makeModel({ caption: LONG, arms: [] }), undefined, 40);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(lines.map((line) => line.slice(7)).join(' ')).toBe(LONG);
  });
});

test('renderSeconds: one line for each arm, aligned', () => {
  expect(renderSeconds(makeModel(), 2, 7, 80)).toEqual([
    '00:02-00:07  without hot-switch  plain ##+..  meshed ##...',
    '00:02-00:07  with hot-switch     plain ##+##  meshed ##+##',
  ]);
});

test('renderSeconds: a client of which less is known keeps its column', () => {
  const arm = {
    ...makeArm('with', '', ''),
    clients: [
      { name: 'plain', cells: cells('##') },
      { name: 'meshed', cells: cells('#####') },
    ],
  };
  expect(renderSeconds(makeModel({ arms: [arm] }), 0, 5, 80)).toEqual(['00:00-00:05  with  plain ##     meshed #####']);
});

test.each([
  [-1, '00:00'],
  [59_999, '00:59'],
  [61_000, '01:01'],
  [6_000_000, '100:00'],
])('clockText of %d ms is %s', (ms, want) => {
  expect(clockText(ms)).toBe(want);
});
