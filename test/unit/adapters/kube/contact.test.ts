import { expect, test } from '@jest/globals';
import { noticeReturns } from '../../../../src/adapters/kube/contact.ts';
import { ApiError } from '../../../../src/adapters/kube/transport.ts';
import type { KubeApi } from '../../../../src/adapters/kube/transport.ts';

const OK = 'ok';
const NO_ANSWER = new ApiError('no answer', { retryable: true });
const refused = (status: number): ApiError => new ApiError('refused', { status, retryable: false });

const rows: Record<string, { answers: readonly (typeof OK | ApiError)[]; want: number }> = {
  'all is well: no return': { answers: [OK, OK], want: 0 },
  'no answer, then one': { answers: [OK, NO_ANSWER, NO_ANSWER, OK, OK], want: 1 },
  'away twice': { answers: [NO_ANSWER, OK, NO_ANSWER, OK], want: 2 },
  'a server that cannot, then can': { answers: [refused(503), OK], want: 1 },
  'a refusal is an answer': { answers: [refused(404), refused(410), OK], want: 0 },
  'a refusal after no answer is a return': { answers: [NO_ANSWER, refused(404), OK], want: 1 },
};
test.each(Object.entries(rows))('%s', async (_what, { answers, want }) => {
  const left = [...answers];
  const next = async <T>(): Promise<T> => {
    const answer = left.shift();
    if (answer instanceof ApiError) throw answer;
    return answer as T;
  };
  const api: KubeApi = { get: next, create: next, patch: next, stream: next, close: async () => undefined };
  let returns = 0;
  const watched = noticeReturns(api, () => {
    returns += 1;
  });
  const outcomes = [];
  for (const answer of answers) outcomes.push((await watched.get('/').catch((error: unknown) => error)) === answer);
  expect(outcomes).toEqual(answers.map(() => true));
  expect(returns).toBe(want);
});
