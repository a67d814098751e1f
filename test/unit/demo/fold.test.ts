import { expect, test } from '@jest/globals';
import { foldColumns } from '../../demo/fold.ts';

const PODS = `NAME                     READY   STATUS             RESTARTS      AGE   IP            NODE    NOMINATED NODE   READINESS GATES   TRAFFIC
shop-7c9f8d6b5-k4q7p     1/2     CrashLoopBackOff   4 (12s ago)   2m    198.18.0.13   node1   <none>           1/1               bypassed
client-5d8f9c6b4-abcde   2/2     Running            0             2m    198.18.0.14   node1   <none>           <none>
`;

test('a table too wide is folded below its rows, with every value', () => {
  expect(`\n${foldColumns(PODS, 80)}\n`).toBe(`
NAME                    READY  STATUS            RESTARTS     AGE  IP
    NODE   NOMINATED NODE  READINESS GATES  TRAFFIC
shop-7c9f8d6b5-k4q7p    1/2    CrashLoopBackOff  4 (12s ago)  2m   198.18.0.13
    node1  <none>          1/1              bypassed
client-5d8f9c6b4-abcde  2/2    Running           0            2m   198.18.0.14
    node1  <none>          <none>
`);
});

test.each(
  Object.entries({
    'a table that fits': { text: PODS, width: 200, want: PODS.trimEnd() },
    'a sentence, however long': { text: 'Error from server (NotFound): pods not found', width: 20, want: 'Error from server (NotFound): pods not found' },
    nothing: { text: '', width: 80, want: '' },
  }),
)('%s stays as it is', (_, { text, width, want }) => {
  expect(foldColumns(text, width)).toBe(want);
});

test.each([30, 40, 60, 80, 100, 130])('folded to %d columns no line is wider, unless one value is, and no word is lost', (width) => {
  const folded = foldColumns(PODS, width);
  expect(Math.max(...folded.split('\n').map((line) => line.length))).toBeLessThanOrEqual(width);
  expect(folded.split(/\s+/)).toEqual(PODS.trim().split(/\s+/));
});
