import { expect, test } from '@jest/globals';
import { durationText, failoverTable, outcomeTable, renderTable } from '../../measure/table.ts';
import type { Summary } from '../../measure/series.ts';

const FINE: Summary = { requests: 600, failures: 0, longestOutageMs: 0, outageOpen: false, medianMs: 3, p99Ms: 9, longestSilenceMs: 21 };

test('outcomeTable: requests, failures and the longest outage for each arm and client', () => {
  const table = outcomeTable([
    { arm: 'without hot-switch', client: 'plain', summary: { ...FINE, failures: 539, longestOutageMs: 58_060, outageOpen: true } },
    { arm: 'without hot-switch', client: 'meshed', summary: { ...FINE, failures: 600, longestOutageMs: 4080 } },
    { arm: 'with hot-switch', client: 'plain', summary: FINE },
    { arm: 'with hot-switch', client: 'meshed', summary: { ...FINE, requests: 60_000, failures: 1, longestOutageMs: 47 } },
  ]);
  expect(`\n${table}\n`).toBe(`
                    client  requests      failures  longest outage
------------------  ------  --------  ------------  --------------
without hot-switch  plain        600  539 (89.8 %)     over 58.1 s
without hot-switch  meshed       600   600 (100 %)           4.1 s
with hot-switch     plain        600             0            none
with hot-switch     meshed     60000    1 (<0.1 %)           47 ms
`);
});

test('failoverTable: the windows over all runs; a run without recovery is never rounded away', () => {
  const outage = (windowMs: number | undefined, failed: number) => ({ windowMs, failed, failedLater: 0, firstFailureAfterMs: 0 });
  const table = failoverTable([
    { arm: 'with hot-switch', client: 'meshed', outages: [outage(85.4, 4), outage(219, 10), outage(117, 6)] },
    { arm: 'without', client: 'meshed', outages: [outage(4100, 205), outage(undefined, 600)] },
    { arm: 'not run', client: 'meshed', outages: [] },
  ]);
  expect(`\n${table}\n`).toBe(`
                 client  runs  median  least    most  failed (median)
---------------  ------  ----  ------  -----  ------  ---------------
with hot-switch  meshed     3  117 ms  85 ms  219 ms                6
without          meshed     2   never  4.1 s   never            402.5
not run          meshed     0       -      -       -                -
`);
});

test.each([
  [undefined, '-'],
  [Infinity, 'never'],
  [0, '0 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [119_940, '119.9 s'],
  [119_960, '2 min 0 s'],
  [125_000, '2 min 5 s'],
])('durationText of %j is %s', (ms, want) => {
  expect(durationText(ms)).toBe(want);
});

test('renderTable: the first column gives way so that no line is wider than asked for', () => {
  const table = renderTable(['', 'client', 'requests'], [['a title that is much too long for this', 'plain', '600']], 40);
  expect(table.split('\n').map((line) => line.length)).toEqual([40, 40, 40]);
  expect(table).toContain('a title that is mu');
});
