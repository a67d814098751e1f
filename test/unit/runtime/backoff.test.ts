import { describe, expect, test } from '@jest/globals';
import { backoffMs, pause } from '../../../src/runtime/backoff.ts';

describe('backoffMs', () => {
  const backoff = { minMs: 100, maxMs: 1_000, factor: 2, jitter: 0.5 };
  const cases: Readonly<Record<string, { attempt: number; random: number; wantMs: number }>> = {
    'the first wait is the shortest': { attempt: 0, random: 0, wantMs: 100 },
    'each wait is twice the one before': { attempt: 3, random: 0, wantMs: 800 },
    'no wait is longer than the bound': { attempt: 4, random: 0, wantMs: 1_000 },
    'an absurd count of attempts stays within the bound': { attempt: 100_000, random: 0, wantMs: 1_000 },
    'jitter takes off at most its share': { attempt: 4, random: 0.999999, wantMs: 500 },
  };
  test.each(Object.entries(cases))('%s', (_sentence, { attempt, random, wantMs }) => {
    expect(backoffMs(backoff, attempt, () => random)).toBeCloseTo(wantMs, 1);
  });
});

describe('pause', () => {
  test('ends at once when the signal is aborted already', async () => {
    const startMs = performance.now();
    await pause(60_000, AbortSignal.abort());
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  test('ends early when the signal aborts', async () => {
    const abort = new AbortController();
    const startMs = performance.now();
    setTimeout(() => abort.abort(), 5);
    await pause(60_000, abort.signal);
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  test('takes its time otherwise', async () => {
    const startMs = performance.now();
    await pause(20, new AbortController().signal);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(18);
  });
});
