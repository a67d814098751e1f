import { describe, expect, test } from '@jest/globals';
import { brokenPromise, type Outcome } from '../../demo/verdict.ts';
import type { Summary } from '../../measure/series.ts';

const SERVED: Summary = { requests: 5000, failures: 10, longestOutageMs: 200, outageOpen: false, medianMs: 2, p99Ms: 9, longestSilenceMs: 40 };

function outcome(changes: Partial<Outcome> = {}, plain: Partial<Summary> = {}): Outcome {
  const clients = [
    { name: 'meshed client', summary: SERVED },
    { name: 'plain client', summary: { ...SERVED, ...plain } },
  ];
  return { clients, appRestarts: 0, kills: 4, bypassed: true, restored: true, ...changes };
}

const BROKEN: Readonly<Record<string, { readonly outcome: Outcome; readonly want: RegExp }>> = {
  'nothing was killed': { outcome: outcome({ kills: 0 }), want: /No sidecar was killed/ },
  'there was no bypass': { outcome: outcome({ bypassed: false }), want: /did not bypass/ },
  'the app was restarted': { outcome: outcome({ appRestarts: 2 }), want: /restarted 2 times/ },
  'a client was out for long': { outcome: outcome({}, { longestOutageMs: 6100 }), want: /plain client .* 10 of 5000 .* 6\.1 s/ },
  'a client was out until the end': { outcome: outcome({}, { outageOpen: true }), want: /plain client/ },
  'a client lost many requests, one by one': { outcome: outcome({}, { failures: 400 }), want: /plain client .* 400 of 5000/ },
  'a client asked nothing': { outcome: outcome({}, { requests: 0, failures: 0, longestOutageMs: 0 }), want: /sent nothing/ },
  'the sidecar was not put back': { outcome: outcome({ restored: false }), want: /did not put the traffic back/ },
};

describe('brokenPromise names what hot-switch did not do', () => {
  test.each(Object.entries(BROKEN))('%s', (_, { outcome, want }) => {
    expect(brokenPromise(outcome)).toMatch(want);
  });
});

test('brokenPromise has nothing to say when both clients were served and the app was left alone', () => {
  expect(brokenPromise(outcome())).toBeUndefined();
});
