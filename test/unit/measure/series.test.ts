import { describe, expect, test } from '@jest/globals';
import { collect, firstGoodAfter, isGood, longestOutage, median, outageAfter, parseResults, percentile, summarise } from '../../measure/series.ts';
import type { Result } from '../../measure/series.ts';

/** Start and duration; good answers have 200, failures a connection refused. */
function good(t: number, d = 4): Result {
  return { n: 'x', t, d, s: 200 };
}
function bad(t: number, d = 1): Result {
  return { n: 'x', t, d, s: 0, e: 'ECONNREFUSED' };
}

const ALL = { fromMs: 0, toMs: Infinity };

describe('longestOutage', () => {
  test.each(
    Object.entries({
      'nothing asked: none': { results: [], want: { ms: 0, open: false } },
      'all good: none': { results: [good(0), good(20)], want: { ms: 0, open: false } },
      'one failure lasts until the next good answer is complete': { results: [good(0), bad(20), good(40)], want: { ms: 24, open: false } },
      'of failures in a row the first counts': { results: [good(0), bad(20), bad(40), bad(60), good(80)], want: { ms: 64, open: false } },
      'a good answer to a request on its way before the failure does not end it': {
        results: [good(10, 25), bad(20), good(40, 10)],
        want: { ms: 30, open: false },
      },
      'a hanging failure that ends after the recovery does not prolong it': {
        results: [bad(0, 1000), bad(20, 1000), good(40), good(60)],
        want: { ms: 44, open: false },
      },
      'the good answer that is complete first ends it, whichever was sent first': {
        results: [bad(0), good(20, 500), good(40, 4)],
        want: { ms: 44, open: false },
      },
      'failures after a slow good answer was sent wait for themselves': {
        results: [bad(0), good(1, 900), bad(20), good(1000)],
        want: { ms: 984, open: false },
      },
      'failures among good answers are many short outages': {
        results: [bad(0), good(20), bad(40), good(60), bad(80), good(100)],
        want: { ms: 24, open: false },
      },
      'the longer of two': { results: [bad(0), good(20), bad(40), bad(60), good(80)], want: { ms: 44, open: false } },
      'without a later good answer it is open until the last thing known': { results: [good(0), bad(20), bad(40, 1000)], want: { ms: 1020, open: true } },
      'a status that is not 2xx is a failure': { results: [{ ...good(0), s: 503 }, good(20)], want: { ms: 24, open: false } },
    }),
  )('%s', (_, { results, want }) => {
    expect(longestOutage(results, ALL)).toEqual(want);
    expect(longestOutage(results.toReversed(), ALL)).toEqual(want);
  });

  test('failures outside of the span do not count, good answers after it still end one', () => {
    expect(longestOutage([bad(0), good(20), bad(100), good(300)], { fromMs: 50, toMs: 200 })).toEqual({ ms: 204, open: false });
    expect(longestOutage([bad(0), good(20), bad(100), good(300)], { fromMs: 0, toMs: 100 })).toEqual({ ms: 24, open: false });
  });
});

describe('outageAfter, the fault at 100', () => {
  test.each(
    Object.entries({
      'nothing failed: no window': {
        results: [good(80), good(120)],
        options: {},
        want: { windowMs: 0, failed: 0, failedLater: 0, firstFailureAfterMs: undefined },
      },
      'what failed before the fault is none of its business': {
        results: [bad(80), good(120)],
        options: {},
        want: { windowMs: 0, failed: 0, failedLater: 0, firstFailureAfterMs: undefined },
      },
      'from the fault, not from the first failure, to the first good answer': {
        results: [good(90), bad(110), bad(130), good(150)],
        options: {},
        want: { windowMs: 54, failed: 2, failedLater: 0, firstFailureAfterMs: 10 },
      },
      'a request on its way at the fault that fails belongs to it': {
        results: [bad(90, 30), good(110), good(130)],
        options: {},
        want: { windowMs: 14, failed: 1, failedLater: 0, firstFailureAfterMs: -10 },
      },
      'a good answer that was there before the fault does not end it': {
        results: [bad(90, 30), good(93, 2), good(110)],
        options: {},
        want: { windowMs: 14, failed: 1, failedLater: 0, firstFailureAfterMs: -10 },
      },
      'a good answer between failures does not end it': {
        results: [bad(110), good(130), bad(150), good(170)],
        options: {},
        want: { windowMs: 74, failed: 2, failedLater: 0, firstFailureAfterMs: 10 },
      },
      'failures after a quiet second are told, but are not in the window': {
        results: [bad(110), good(130), bad(1200), good(1220)],
        options: {},
        want: { windowMs: 34, failed: 1, failedLater: 1, firstFailureAfterMs: 10 },
      },
      'with an endless quietMs they are in it': {
        results: [bad(110), good(130), bad(1200), good(1220)],
        options: { quietMs: Infinity },
        want: { windowMs: 1124, failed: 2, failedLater: 0, firstFailureAfterMs: 10 },
      },
      'a failure that comes late is not overlooked': {
        results: [good(110), bad(5000), good(5020)],
        options: {},
        want: { windowMs: 4924, failed: 1, failedLater: 0, firstFailureAfterMs: 4900 },
      },
      'failures from toMs on belong to another fault': {
        results: [bad(110), good(130), bad(500), good(520)],
        options: { toMs: 400 },
        want: { windowMs: 34, failed: 1, failedLater: 0, firstFailureAfterMs: 10 },
      },
      'no good answer followed: unknown, not 0': {
        results: [good(80), bad(110), bad(130)],
        options: {},
        want: { windowMs: undefined, failed: 2, failedLater: 0, firstFailureAfterMs: 10 },
      },
    }),
  )('%s', (_, { results, options, want }) => {
    expect(outageAfter(results, 100, options)).toEqual(want);
    expect(outageAfter(results.toReversed(), 100, options)).toEqual(want);
  });
});

test('firstGoodAfter: to the completion of the first good answer that was asked for after the instant; unknown without one', () => {
  expect(firstGoodAfter([good(90, 20), bad(110), good(130, 50), good(150, 5)], 100)).toBe(55);
  expect(firstGoodAfter([good(90, 20), bad(110)], 100)).toBeUndefined();
});

test('collect: each result once and in order, however often and in whatever order it was read', () => {
  const [a, b, c] = [good(20), bad(40), { ...good(40), n: 'y' }];
  expect(collect([c, a], [b, a], [])).toEqual([a, b, c]);
  expect(collect(collect([c, b, a]), [a])).toEqual([a, b, c]);
});

test('summarise: counts what started within the span', () => {
  const results = [good(0), good(20, 2), bad(40), good(60, 10), good(300, 6), bad(400)];
  expect(summarise(results, { fromMs: 20, toMs: 400 })).toEqual({
    requests: 4,
    failures: 1,
    longestOutageMs: 30,
    outageOpen: false,
    medianMs: 6,
    p99Ms: 10,
    longestSilenceMs: 240,
  });
});

test('summarise: of nothing, nothing is known', () => {
  expect(summarise([], ALL)).toEqual({
    requests: 0,
    failures: 0,
    longestOutageMs: 0,
    outageOpen: false,
    medianMs: undefined,
    p99Ms: undefined,
    longestSilenceMs: 0,
  });
});

test.each([
  [[], undefined],
  [[7], 7],
  [[9, 1, 5], 5],
  [[4, 1, 3, 2], 2.5],
  [[Infinity, 1, 2], 2],
])('median of %j is %j', (values, want) => {
  expect(median(values)).toBe(want);
});

test.each([
  [[], 50, undefined],
  [[3, 1, 2], 0, 1],
  [[3, 1, 2], 50, 2],
  [[3, 1, 2], 100, 3],
  [Array.from({ length: 100 }, (_, index) => index + 1), 99, 99],
])('of %j, percentile %d is %j', (values, percent, want) => {
  expect(percentile(values, percent)).toBe(want);
});

test.each([
  [199, false],
  [200, true],
  [299, true],
  [302, false],
  [0, false],
])('a status of %d is good: %j', (s, want) => {
  expect(isGood({ n: 'x', t: 0, d: 0, s })).toBe(want);
});

test('parseResults: lines to results; what is not one is an error that shows it', () => {
  expect(parseResults('{"n":"a","t":1.5,"d":2,"s":0,"e":"timeout"}\n\n{"n":"a","t":2,"d":2,"s":200}\n')).toEqual([
    { n: 'a', t: 1.5, d: 2, s: 0, e: 'timeout' },
    { n: 'a', t: 2, d: 2, s: 200 },
  ]);
  for (const line of ['hello', '{"n":"a"', '[]', 'null', '{"n":"a","t":"1","d":2,"s":200}']) {
    expect(() => parseResults(line)).toThrow(`not a result: ${line}`);
  }
});
