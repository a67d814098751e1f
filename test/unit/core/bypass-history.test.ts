import { describe, expect, test } from '@jest/globals';
import { parseBypassRecord, type BypassRecord } from '../../../src/api/bypass-record.ts';
import { BYPASS_RECORD } from '../../../src/api/keys.ts';
import { policyOf } from '../../../src/api/policy.ts';
import { earliestEndMs, endRecord, lasts, QUIET_MS, recordOf, startRecord, tlsModeOf } from '../../../src/core/bypass-history.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { makeRunningPod } from '../../support/running-pod.ts';
import { NOW_MS, running } from '../../support/snapshot.ts';

const FACTS = { nowMs: NOW_MS, bootID: 'boot-1', tlsMode: 'istio' } as const;
const LABEL = 'security.istio.io/tlsMode';

function carrying(record: BypassRecord | string, labels: Readonly<Record<string, string>> = {}): Pod {
  const text = typeof record === 'string' ? record : JSON.stringify(record);
  return makeRunningPod({ metadata: { labels, annotations: { [BYPASS_RECORD]: text } } });
}

describe('how many in a row', () => {
  const ended = (agoMs: number, entries: number): BypassRecord => ({ ...running(agoMs + 1000, entries), until: new Date(NOW_MS - agoMs).toISOString() });
  test.each<[string, BypassRecord | undefined, number]>([
    ['the first of a pod', undefined, 1],
    ['soon after the last', ended(1_000, 1), 2],
    ['just before a quiet time is over', ended(QUIET_MS - 1, 4), 5],
    ['after a quiet time', ended(QUIET_MS, 4), 1],
    ['more than anybody counts', ended(1_000, 1000), 1000],
    ['the last one has no end, as after a boot that nobody saw', running(1_000, 7), 1],
  ])('%s', (_, previous, entries) => {
    expect(startRecord(previous, FACTS)).toEqual({ since: '2026-03-01T12:00:00.000Z', bootID: 'boot-1', tlsMode: 'istio', entries });
  });
});

describe('the end', () => {
  test('is written once', () => {
    const ended = endRecord(running(5_000), NOW_MS);
    expect(ended).toEqual({ ...running(5_000), until: '2026-03-01T12:00:00.000Z' });
    expect(endRecord(ended, NOW_MS + 1)).toBe(ended);
    expect(endRecord(undefined, NOW_MS)).toBe(undefined);
    expect([lasts(undefined), lasts(running(1)), lasts(ended)]).toEqual([false, true, false]);
  });

  test.each([startRecord(undefined, FACTS), endRecord(startRecord(undefined, FACTS), NOW_MS)])(
    'a record is read as it was written, to the letter: %#',
    (record) => {
      expect(JSON.stringify(parseBypassRecord(JSON.stringify(record)))).toBe(JSON.stringify(record));
    },
  );
});

describe('what a pod carries', () => {
  test('a bypass of this boot goes on', () => {
    expect(recordOf(carrying(running(5_000)), 'boot-1', NOW_MS)).toEqual(running(5_000));
  });
  test('a bypass of another boot is over', () => {
    expect(recordOf(carrying(running(5_000)), 'boot-2', NOW_MS)).toEqual({ ...running(5_000), until: '2026-03-01T12:00:00.000Z' });
  });
  test.each(['', '{}', 'null', '{"since":"yesterday"}', JSON.stringify({ ...running(1), entries: 0 }), 'x'.repeat(5000)])('%.40j is no record', (text) => {
    expect(recordOf(carrying(text), 'boot-1', NOW_MS)).toBe(undefined);
  });
});

describe("Istio's own value of the label", () => {
  test.each<[string, Pod, string | null]>([
    ['is what the label says', makeRunningPod(), 'istio'],
    ['is none where there is no label', makeRunningPod({ metadata: { labels: {} } }), null],
    ['may be disabled', makeRunningPod({ metadata: { labels: { [LABEL]: 'disabled' } } }), 'disabled'],
    ['is in the record while a bypass goes on', carrying(running(1), { [LABEL]: 'disabled' }), 'istio'],
    ['is in the record also when it was none', carrying({ ...running(1), tlsMode: null }, { [LABEL]: 'disabled' }), null],
    ['is the label again once the bypass has ended', carrying({ ...running(1), tlsMode: 'x', until: running(0).since }, { [LABEL]: 'istio' }), 'istio'],
    ['is the label where the record is not ours', carrying('{}', { [LABEL]: 'istio' }), 'istio'],
  ])('%s', (_, pod, want) => {
    expect(tlsModeOf(pod)).toBe(want);
  });
});

test.each([
  ['0s', 5, 0],
  ['10s', 1, 10_000],
  ['10s', 2, 20_000],
  ['10s', 5, 160_000],
  ['10s', 6, 300_000],
  ['10s', 1000, 300_000],
  ['5m', 3, 300_000],
])('with min-bypass-duration %s the bypass number %d lasts at least %d ms', (text, entries, ms) => {
  expect(earliestEndMs(policyOf({ 'min-bypass-duration': text }), running(0, entries), NOW_MS)).toBe(NOW_MS + ms);
});
