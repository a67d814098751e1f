import { describe, expect, test } from '@jest/globals';
import { afterWrite, waitMs } from '../../../src/controller/write-pacing.ts';
import type { WriteHistory } from '../../../src/controller/write-pacing.ts';
import type { EndpointChange } from '../../../src/core/endpoint-override.ts';

function change(action: EndpointChange['action'], uid = 'uid-a'): EndpointChange {
  return { index: 0, action, reason: '', pod: { namespace: 'shop', name: 'web', uid } };
}

/** Times of the writes when the same change is wanted at every moment, for as long as `untilMs`. */
function fight(untilMs: number): number[] {
  const times: number[] = [];
  let history: WriteHistory | undefined;
  for (let nowMs = 0; nowMs <= untilMs;) {
    const wait = waitMs(history, [change('raise')], nowMs);
    if (wait === 0) {
      times.push(nowMs);
      history = afterWrite(history, [change('raise')], nowMs);
    }
    nowMs += Math.max(1, wait);
  }
  return times;
}

describe('pacing of writes to one slice', () => {
  test('the first write waits for nothing', () => {
    expect(waitMs(undefined, [change('raise')], 0)).toBe(0);
  });

  test('a fight slows down to one write in 30 s, and stays there', () => {
    const times = fight(200_000);
    expect(times.map((time, index) => time - (times[index - 1] ?? 0))).toEqual([0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000]);
  });

  const rows: Record<string, { before: readonly EndpointChange[][]; next: readonly EndpointChange[]; afterMs: number; want: number }> = {
    'the opposite of the last write waits a second at most': { before: [[change('raise')]], next: [change('lower')], afterMs: 300, want: 700 },
    'another pod waits a second at most, whatever the fight about the first': {
      before: [[change('raise')], [change('raise')], [change('raise')]],
      next: [change('raise'), change('raise', 'uid-b')],
      afterMs: 0,
      want: 1000,
    },
    'an app that goes back and forth is no fight': {
      before: [[change('raise')], [change('lower')], [change('raise')], [change('lower')]],
      next: [change('raise')],
      afterMs: 1000,
      want: 0,
    },
    'after a quiet time the first write is free again': { before: [[change('raise')], [change('raise')]], next: [change('raise')], afterMs: 2000, want: 0 },
  };
  test.each(Object.entries(rows))('%s', (_what, { before, next, afterMs, want }) => {
    let nowMs = 0;
    let history: WriteHistory | undefined;
    for (const changes of before) {
      nowMs += waitMs(history, changes, nowMs);
      history = afterWrite(history, changes, nowMs);
    }
    expect(waitMs(history, next, nowMs + afterMs)).toBe(want);
  });

  test('a long quiet time ends a fight', () => {
    const fought = [0, 1000, 3000, 7000].reduce<WriteHistory | undefined>((history, nowMs) => afterWrite(history, [change('raise')], nowMs), undefined);
    const later = afterWrite(fought, [change('raise')], 60_000);
    expect(waitMs(fought, [change('raise')], 7000)).toBe(8000);
    expect(waitMs(later, [change('raise')], 60_000)).toBe(1000);
  });
});
