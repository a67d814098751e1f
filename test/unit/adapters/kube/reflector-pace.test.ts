import { describe, expect, test } from '@jest/globals';
import { createPace, PACE, type RoundEnd } from '../../../../src/adapters/kube/reflector-pace.ts';

const broken = (livedMs: number): RoundEnd => ({ kind: 'broken', livedMs });
const expired = (livedMs: number): RoundEnd => ({ kind: 'expired', livedMs });
const refused = (retryAfterMs?: number): RoundEnd => ({ kind: 'refused', retryAfterMs });
const unreachable: RoundEnd = { kind: 'unreachable' };

describe('the longest waits of a reflector', () => {
  const cases: Readonly<Record<string, { ends: readonly RoundEnd[]; wantMs: readonly number[] }>> = {
    'while nobody answers, a try every two seconds': {
      ends: [unreachable, unreachable, unreachable, unreachable],
      wantMs: [800, 1_600, 2_000, 2_000],
    },
    'refusals double up to half a minute': {
      ends: Array.from({ length: 7 }, () => refused()),
      wantMs: [800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000],
    },
    'a Retry-After lengthens a wait, and never shortens it': { ends: [refused(5_000), refused(1)], wantMs: [5_000, 1_600] },
    'an absurd Retry-After is bounded': { ends: [refused(1e9)], wantMs: [120_000] },
    'the first break of a watch is quick, breaks in a row are not': {
      ends: [broken(60_000), broken(10), broken(10), broken(10)],
      wantMs: [200, 800, 1_600, 3_200],
    },
    'a watch that lived makes the next break quick again': { ends: [broken(10), broken(10), broken(6_000)], wantMs: [200, 800, 200] },
    'a restart of the API server costs two quick waits, not one quick and one long': {
      ends: [broken(60_000), unreachable, expired(1), broken(60_000)],
      wantMs: [200, 800, 200, 200],
    },
    'expiries in a row are not quick': { ends: [expired(1), expired(1), expired(0), expired(60_000)], wantMs: [200, 800, 1_600, 200] },
    'an outage does not slow down what comes after it': {
      ends: [broken(60_000), unreachable, unreachable, unreachable, broken(60_000), unreachable],
      wantMs: [200, 800, 1_600, 2_000, 200, 800],
    },
  };
  test.each(Object.entries(cases))('%s', (_sentence, { ends, wantMs }) => {
    const pace = createPace(PACE, () => 0);
    expect(ends.map((end) => pace.waitMs(end))).toEqual(wantMs);
  });

  test('chance takes off at most half', () => {
    const pace = createPace(PACE, () => 0.999999);
    expect([broken(60_000), unreachable, refused()].map((end) => Math.round(pace.waitMs(end)))).toEqual([100, 400, 800]);
  });
});
