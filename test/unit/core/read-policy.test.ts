import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { EFFECTIVE_POLICY } from '../../../src/api/keys.ts';
import { policyOf } from '../../../src/api/policy.ts';
import { effectivePolicy, policyText } from '../../../src/core/merge-policy.ts';
import { readPolicy } from '../../../src/core/read-policy.ts';

const DEFAULTS = policyOf({});
const read = (text: string): ReturnType<typeof readPolicy> => readPolicy({ [EFFECTIVE_POLICY]: text });

describe('a stamp that cannot be read gives the defaults, which refuse', () => {
  test.each([
    ['nothing', ''],
    ['no JSON', '{"security":"allow"'],
    ['a list', '["allow"]'],
    ['null', 'null'],
    ['a text', '"allow"'],
    ['a value of another type', '{"security":true}'],
    ['a value that does not parse', '{"security":"ALLOW"}'],
    ['a key below the prototype', '{"__proto__":{"security":"allow"}}'],
    ['more than anybody wrote', JSON.stringify({ security: 'allow', rest: 'x'.repeat(4096) })],
  ])('%s', (_, text) => {
    expect(DEFAULTS.security).toBe('refuse');
    expect(read(text)).toEqual(DEFAULTS);
  });
});

test('a pod without a stamp has no policy', () => {
  expect(readPolicy(undefined)).toBe(undefined);
  expect(readPolicy({ 'hot-switch.io/security': 'allow' })).toBe(undefined);
});

test('one value that does not parse costs only itself', () => {
  expect(read('{"security":"allow","probe-period":"soon","mode":"observe"}')).toEqual({ ...DEFAULTS, security: 'allow', mode: 'observe' });
});

test('what the webhook stamps is read back', () => {
  const { raw } = effectivePolicy({ 'hot-switch.io/probe-period': '200ms' }, { 'hot-switch.io/security': 'allow' });
  expect(read(policyText(raw))).toEqual({ ...DEFAULTS, security: 'allow', 'probe-period': 200 });
});

test('any text gives a whole policy, and never consent that was not spelt out', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(Object.keys(read(text) ?? {})).toEqual(Object.keys(DEFAULTS));
      expect(read(text)?.security === 'allow' && !text.includes('allow')).toBe(false);
    }),
  );
});
