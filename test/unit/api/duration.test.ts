import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { formatDuration, parseDuration } from '../../../src/api/duration.ts';

describe('parseDuration', () => {
  const bad = [
    '',
    '1',
    '-1s',
    '+1s',
    '1 s',
    ' 1s',
    '1s ',
    '1d',
    '1S',
    '.5s',
    '5.s',
    '1e3s',
    '1s,2s',
    's',
    '١s',
    '1s\n',
    '9'.repeat(10) + 's',
    '1.1234567s',
    '1h1h1h1h1h',
  ];
  test.each(bad)('%j is none', (text) => {
    expect(parseDuration(text)).toBe(undefined);
  });

  test.each([
    ['0s', 0],
    ['200ms', 200],
    ['1.5s', 1500],
    ['0.1s', 100],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['1m1m', 120_000],
    ['010s', 10_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test('reads back what formatDuration writes', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 86_400_000 }), (ms) => expect(parseDuration(formatDuration(ms))).toBe(ms)));
  });
});

test.each([
  [0, '0s'],
  [50, '50ms'],
  [1000, '1s'],
  [1500, '1500ms'],
  [60_000, '1m'],
  [90_000, '90s'],
])('formatDuration(%d) is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
