import { describe, expect, test } from '@jest/globals';
import { createWorkQueue } from '../../../src/runtime/work-queue.ts';
import { captureLog } from '../../support/captured-log.ts';
import { eventually, sleep } from '../../support/eventually.ts';

const BACKOFF = { minMs: 4, maxMs: 16, factor: 2, jitter: 0 };

function record(reconcile: (key: string, signal: AbortSignal, runs: string[]) => Promise<{ requeueAfterMs?: number } | void>, concurrency = 2) {
  const runs: string[] = [];
  const { log, lines } = captureLog();
  const queue = createWorkQueue({
    reconcile: (key, signal) => {
      runs.push(key);
      return reconcile(key, signal, runs);
    },
    concurrency,
    log,
    backoff: BACKOFF,
    timeoutMs: 50,
  });
  return { queue, runs, lines };
}

describe('a work queue', () => {
  test('brings a key that throws back with growing waits, and forgets them after a good run', async () => {
    const { queue, lines } = record((_key, _signal, runs) =>
      runs.length < 4 || runs.length === 5 ? Promise.reject(new Error('conflict')) : Promise.resolve(),
    );
    const retries = () => lines.filter((line) => line['message'] === 'reconcile failed').map((line) => [line['retryInMs'], line['error']]);
    queue.add('a');
    await eventually('three retries', () => retries().length === 3);
    await sleep(30);
    queue.add('a');
    await eventually('one more', () => retries().length === 4);
    await queue.stop();
    expect(retries()).toEqual([
      [4, 'conflict'],
      [8, 'conflict'],
      [16, 'conflict'],
      [4, 'conflict'],
    ]);
  });

  test('survives a reconcile that throws before it returns a promise', async () => {
    const { queue, runs, lines } = record((_key, _signal, all) => {
      if (all.length === 1) throw new Error('at once');
      return Promise.resolve();
    });
    queue.add('a');
    await eventually('the second run', () => runs.length === 2);
    await queue.stop();
    expect(lines.map((line) => line['error'])).toEqual(['at once']);
  });

  test('a failing key does not hold up the others', async () => {
    const { queue, runs } = record((key) => (key === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve()), 1);
    queue.add('bad');
    for (let n = 0; n < 20; n += 1) queue.add(`good-${n}`);
    await eventually('all good ones ran', () => new Set(runs).size === 21);
    await queue.stop();
    expect(runs.slice(0, 21)).toEqual(['bad', ...Array.from({ length: 20 }, (_value, n) => `good-${n}`)]);
  });

  test('runs a key once however often it is added before its run', async () => {
    const { queue, runs } = record(() => Promise.resolve());
    for (let n = 0; n < 100; n += 1) queue.add('a');
    await sleep(10);
    expect(runs).toEqual(['a']);
    await queue.stop();
  });

  test('never runs a key twice at once, and runs a key again that was added during its run', async () => {
    let inside = 0;
    let most = 0;
    const { queue, runs } = record(async () => {
      inside += 1;
      most = Math.max(most, inside);
      await sleep(5);
      inside -= 1;
    }, 4);
    queue.add('a');
    await sleep(1);
    for (let n = 0; n < 10; n += 1) queue.add('a');
    await eventually('the second run', () => runs.length === 2 && inside === 0);
    await sleep(15);
    expect({ runs, most }).toEqual({ runs: ['a', 'a'], most: 1 });
    await queue.stop();
  });

  test('runs at most `concurrency` keys at once', async () => {
    let inside = 0;
    let most = 0;
    const { queue, runs } = record(async () => {
      inside += 1;
      most = Math.max(most, inside);
      await sleep(2);
      inside -= 1;
    }, 3);
    for (let n = 0; n < 12; n += 1) queue.add(String(n));
    expect(queue.size).toBe(9);
    await eventually('all ran', () => runs.length === 12 && inside === 0);
    expect(most).toBe(3);
    await queue.stop();
  });

  test('does no work inside add()', async () => {
    const { queue, runs } = record(() => Promise.resolve());
    queue.add('a');
    expect(runs).toEqual([]);
    await queue.stop();
  });

  test('of several delays for a key the earliest counts, and it runs once', async () => {
    const { queue, runs } = record(() => Promise.resolve());
    queue.addAfter('a', 10_000);
    queue.addAfter('a', 5);
    queue.addAfter('a', 7_000);
    await eventually('the run', () => runs.length === 1);
    await sleep(10);
    expect(runs).toEqual(['a']);
    await queue.stop();
  });

  test('comes back when the reconcile asks for it', async () => {
    const { queue, runs } = record((_key, _signal, all) => Promise.resolve(all.length < 3 ? { requeueAfterMs: 2 } : undefined));
    queue.add('a');
    await eventually('three runs', () => runs.length === 3);
    await sleep(10);
    expect(runs.length).toBe(3);
    await queue.stop();
  });

  test('aborts a run that takes too long, and tries again', async () => {
    const { queue, runs, lines } = record((_key, signal, all) =>
      all.length > 1 ? Promise.resolve() : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    );
    queue.add('a');
    await eventually('the second run', () => runs.length === 2);
    expect(lines[0]?.['error']).toBe('took longer than 50 ms');
    await queue.stop();
  });

  test('stop aborts the runs, awaits them, and nothing runs after it', async () => {
    let ended = false;
    const { queue, runs } = record(async (_key, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await sleep(5);
      ended = true;
    }, 1);
    queue.add('a');
    await eventually('the run', () => runs.length === 1);
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 1);
    await queue.stop();
    expect(ended).toBe(true);
    queue.add('d');
    queue.addAfter('e', 0);
    await sleep(15);
    expect(runs).toEqual(['a']);
  });
});
