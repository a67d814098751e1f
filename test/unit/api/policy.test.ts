import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { defaultText, isPolicyKey, parseValue, POLICY_KEYS, policyOf, type PolicyKey } from '../../../src/api/policy.ts';

describe('parseValue', () => {
  const refused: readonly (readonly [PolicyKey, string, string])[] = [
    ['mode', 'on', 'must be one of "enforce", "observe", "off"'],
    ['mode', 'Off', 'must be one of'],
    ['security', '', 'must be one of "refuse", "allow"'],
    ['security', 'constructor', 'must be one of'],
    ['probe-period', '99ms', 'must be a duration between 100ms and 1m, e.g. "1s" or "200ms"'],
    ['probe-period', '61s', 'between 100ms and 1m'],
    ['probe-period', '1', 'must be a duration'],
    ['probe-timeout', '0s', 'between 50ms and 1m'],
    ['success-threshold', '0', 'must be a whole number from 1 to 100 in quotes, e.g. "3"'],
    ['success-threshold', '101', 'from 1 to 100'],
    ['success-threshold', '1e1', 'must be a whole number'],
    ['success-threshold', ' 3', 'must be a whole number'],
    ['success-threshold', '0x3', 'must be a whole number'],
    ['min-bypass-duration', '5m1s', 'between 0s and 5m'],
    ['min-bypass-duration', '-1s', 'must be a duration'],
  ];
  test.each(refused)('%s: %j is refused: %s', (key, text, message) => {
    expect(parseValue(key, text)).toEqual({ ok: false, message: expect.stringContaining(message) });
  });

  const taken: readonly (readonly [PolicyKey, string, unknown])[] = [
    ['mode', 'observe', 'observe'],
    ['security', 'allow', 'allow'],
    ['probe-period', '100ms', 100],
    ['probe-timeout', '1m', 60_000],
    ['success-threshold', '100', 100],
    ['min-bypass-duration', '0s', 0],
    ['min-bypass-duration', '1m30s', 90_000],
  ];
  test.each(taken)('%s: %j is %j', (key, text, value) => {
    expect(parseValue(key, text)).toEqual({ ok: true, value });
  });

  test('any text gives a value or one sentence', () => {
    fc.assert(
      fc.property(fc.constantFrom(...POLICY_KEYS), fc.string(), (key, text) => {
        const parsed = parseValue(key, text);
        expect(parsed.ok || /^must be .+/.test(parsed.message)).toBe(true);
      }),
    );
  });
});

describe('policyOf', () => {
  test('the defaults refuse, and are what the reference says', () => {
    expect(policyOf({})).toEqual({
      mode: 'enforce',
      security: 'refuse',
      'probe-period': 1000,
      'probe-timeout': 1000,
      'success-threshold': 3,
      'min-bypass-duration': 10_000,
    });
  });

  test.each(POLICY_KEYS)('%s: its default parses', (key) => {
    expect(parseValue(key, defaultText(key)).ok).toBe(true);
  });

  test('a value that does not parse costs only itself', () => {
    expect(policyOf({ mode: 'observe', security: 'yes' })).toEqual({ ...policyOf({}), mode: 'observe' });
  });
});

test.each([
  ['mode', true],
  ['Mode', false],
  ['toString', false],
  ['', false],
])('isPolicyKey(%j) is %j', (key, want) => {
  expect(isPolicyKey(key)).toBe(want);
});
