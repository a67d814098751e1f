import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { nestsDeeperThan } from '../../../src/webhook/json-depth.ts';

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

const cases: Record<string, { json: string; limit: number; want: boolean }> = {
  'brackets at the limit': { json: '[[1]]', limit: 2, want: false },
  'one more than the limit': { json: '[{"a":[1]}]', limit: 2, want: true },
  'siblings do not add up': { json: '[[],[],[],{}]', limit: 2, want: false },
  'brackets in a text do not count': { json: '["[[[[{{{{"]', limit: 1, want: false },
  'a text with an escaped quote goes on': { json: String.raw`["\"[[[["]`, limit: 1, want: false },
  'a text that ends in a backslash ends': { json: String.raw`["\\",[[1]]]`, limit: 2, want: true },
  'closing brackets alone gain no room': { json: '[[[[', limit: 3, want: true },
  'a text that never ends': { json: '"[[[[', limit: 1, want: false },
};
test.each(Object.entries(cases))('%s', (_name, { json, limit, want }) => {
  expect(nestsDeeperThan(Buffer.from(json), limit)).toBe(want);
});

test('agrees with a parser on any JSON', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
      const depth = depthOf(value);
      const json = Buffer.from(JSON.stringify(value));
      expect(nestsDeeperThan(json, depth)).toBe(false);
      expect(nestsDeeperThan(json, depth - 1)).toBe(depth > 0);
    }),
  );
});

test('a megabyte of brackets takes no time to refuse', () => {
  const bytes = Buffer.alloc(1_000_000, '[');
  const startMs = performance.now();
  expect(nestsDeeperThan(bytes, 200)).toBe(true);
  expect(performance.now() - startMs).toBeLessThan(50);
});
