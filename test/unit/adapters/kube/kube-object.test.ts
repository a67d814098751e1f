import { describe, expect, test } from '@jest/globals';
import { isNotNewer, objectKey } from '../../../../src/adapters/kube/kube-object.ts';

describe('isNotNewer', () => {
  const cases: Readonly<Record<string, [a: string | undefined, b: string | undefined, want: boolean]>> = {
    'of what is no number nothing is known': ['abc', '5', false],
    'of a missing version nothing is known': [undefined, '5', false],
    'nothing is known against a missing version': ['5', undefined, false],
    'zero is no version': ['0', '5', false],
    'numbers compare as numbers, not as text': ['9', '10', true],
    'a longer number is newer': ['10', '9', false],
    'an equal one is not newer': ['7', '7', true],
    'numbers beyond 2^53 keep their order': ['90071992547409931', '90071992547409930', false],
  };
  test.each(Object.entries(cases))('%s', (_sentence, [a, b, want]) => {
    expect(isNotNewer(a, b)).toBe(want);
  });
});

test('the key of an object without a namespace is its name', () => {
  expect([objectKey({ metadata: { name: 'node-1' } }), objectKey({ metadata: { name: 'a', namespace: 'shop' } })]).toEqual(['node-1', 'shop/a']);
});
