import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { errorMessage } from '../../../src/runtime/error-message.ts';

const cases: Readonly<Record<string, [error: unknown, want: string]>> = {
  'what is no error is written out': ['broken', 'broken'],
  'an error without a message stays empty': [new Error(), ''],
  'only the first line': [new Error('one\ntwo'), 'one'],
  'several in one': [new AggregateError([new Error('a'), new AggregateError([new Error('b'), 'c'])]), 'a; b; c'],
};
test.each(Object.entries(cases))('%s', (_sentence, [error, want]) => {
  expect(errorMessage(error)).toBe(want);
});

test('an error of Node itself', async () => {
  const error = await new Promise((resolve) => connect(1, '127.0.0.1').on('error', resolve));
  expect(errorMessage(error)).toBe('connect ECONNREFUSED 127.0.0.1:1');
});
