import { expect, test } from '@jest/globals';
import { binned, timeline } from '../../measure/timeline.ts';

const RESULTS = [
  { n: 'x', t: 999, d: 1, s: 200 },
  { n: 'x', t: 1000, d: 1, s: 200 },
  { n: 'x', t: 1999, d: 1, s: 200 },
  { n: 'x', t: 2000, d: 1, s: 503 },
  { n: 'x', t: 2500, d: 1, s: 200 },
  { n: 'x', t: 3500, d: 1, s: 0 },
  { n: 'x', t: 5200, d: 1, s: 0 },
];

test('binned: by the start of the request, from the start of the span to its end', () => {
  expect(binned(RESULTS, { fromMs: 1000, toMs: 5100 }, 2000)).toEqual([
    { fromMs: 1000, good: 3, failed: 1 },
    { fromMs: 3000, good: 0, failed: 1 },
    { fromMs: 5000, good: 0, failed: 0 },
  ]);
});

test('timeline: all good, some failed, none good, nothing known', () => {
  expect(timeline(RESULTS, { fromMs: 1000, toMs: 5000 })).toEqual(['good', 'some', 'none', 'empty']);
});

test('timeline: a span that has not begun has no cells', () => {
  expect(timeline(RESULTS, { fromMs: 1000, toMs: 900 })).toEqual([]);
});
