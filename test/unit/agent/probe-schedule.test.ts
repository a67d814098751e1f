import { afterEach, describe, expect, test } from '@jest/globals';
import { createProbeSchedule, type ProbeSchedule } from '../../../src/agent/probe-schedule.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { SidecarServer } from '../../support/sidecar-server.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Scene {
  readonly sidecar: SidecarServer;
  readonly probes: ProbeSchedule;
  /** The kind of the result at each piece of news. */
  readonly news: string[];
  /** The kind of the result at each end of a connection. */
  readonly ends: string[];
  readonly pace: { periodMs: number; timeoutMs: number };
}

async function makeScene(periodMs: number, prepare: (sidecar: SidecarServer) => unknown = (sidecar) => sidecar.start()): Promise<Scene> {
  const sidecar = new SidecarServer();
  await prepare(sidecar);
  const news: string[] = [];
  const ends: string[] = [];
  const pace = { periodMs, timeoutMs: 1000 };
  const probes = createProbeSchedule(sidecar.address, {
    pace: () => pace,
    onNews: () => news.push(probes.result().kind),
    onEnd: () => ends.push(probes.result().kind),
  });
  cleanups.push(
    () => sidecar.kill(),
    () => probes.stop(),
  );
  return { sidecar, probes, news, ends, pace };
}

describe('a sidecar that does not answer', () => {
  test('before the first answer nothing is claimed', async () => {
    const { probes } = await makeScene(20);
    expect([probes.result(), probes.goodProbes()]).toEqual([{ kind: 'none' }, 0]);
  });

  test('nobody listens: each probe says so', async () => {
    const { probes, news } = await makeScene(5, () => undefined);
    await eventually('three results', () => news.length >= 3);
    expect(news.slice(0, 3)).toEqual(['failed', 'failed', 'failed']);
    expect(probes.result()).toEqual({ kind: 'failed', why: 'ECONNREFUSED' });
  });

  test('one bad answer, and the good ones are counted from the start', async () => {
    const { sidecar, probes } = await makeScene(5);
    await eventually('two good probes', () => probes.goodProbes() >= 2);
    sidecar.status = 503;
    await eventually('a bad one', () => probes.result().kind === 'failed');
    expect(probes.goodProbes()).toBe(0);
    sidecar.status = 200;
    await eventually('good again', () => probes.goodProbes() === 1);
  });

  test('a hung one costs one probe a period, and no looks for a death', async () => {
    const { sidecar, pace, news, ends } = await makeScene(5);
    pace.timeoutMs = 30;
    await eventually('a good probe', () => news.includes('ok'));
    sidecar.hangs = true;
    await eventually('two bad ones', () => news.filter((kind) => kind === 'failed').length === 2);
    expect(ends).toEqual([]);
  });
});

describe('the end of the held connection', () => {
  test('is news at once, and again for a quarter of a second, long before the next probe', async () => {
    const { sidecar, probes, news, ends } = await makeScene(60_000);
    await eventually('a good probe', () => probes.result().kind === 'ok');
    const startMs = performance.now();
    await sidecar.kill();
    await eventually('first news', () => news.length >= 3);
    expect(probes.result()).toEqual({ kind: 'ended' });
    await eventually('the probe after the last look', () => probes.result().kind === 'failed');
    expect(performance.now() - startMs).toBeGreaterThan(240);
    // One look for the refusal of a new connection, five by the clock.
    expect(news).toEqual(['ok', 'ended', 'ended', 'ended', 'ended', 'ended', 'ended', 'failed']);
    expect(ends).toEqual(['ended']);
    expect(probes.goodProbes()).toBe(0);
  });

  test('of a sidecar that goes on is followed by a good probe', async () => {
    const { sidecar, probes, news } = await makeScene(60_000);
    await eventually('a good probe', () => probes.result().kind === 'ok');
    sidecar.dropConnections();
    await eventually('it ended', () => probes.result().kind === 'ended');
    await eventually('a good probe again', () => probes.result().kind === 'ok');
    expect(probes.goodProbes()).toBe(1);
    // The looks for a refusal are connections too; they are bounded.
    expect(sidecar.connections).toBeLessThan(40);
    expect(news).not.toContain('failed');
  });

  test('under a probe has only ended: nothing bad is claimed before the next', async () => {
    const { sidecar, probes, news } = await makeScene(5);
    await eventually('a good probe', () => probes.result().kind === 'ok');
    sidecar.hangs = true;
    const seen = sidecar.requests;
    await eventually('a request under way', () => sidecar.requests > seen);
    sidecar.dropConnections();
    await eventually('it ended', () => probes.result().kind === 'ended');
    sidecar.hangs = false;
    await eventually('a good probe again', () => probes.result().kind === 'ok');
    expect(news).not.toContain('failed');
  });

  test('under every probe is a failure, not for ever an end', async () => {
    const { sidecar, probes } = await makeScene(5);
    await eventually('a good probe', () => probes.result().kind === 'ok');
    sidecar.hangs = true;
    sidecar.onRequest = () => sidecar.dropConnections();
    await eventually('a failure', () => probes.result().kind === 'failed');
    sidecar.onRequest = () => undefined;
    sidecar.hangs = false;
    await eventually('good again', () => probes.goodProbes() >= 2);
    expect(probes.result()).toEqual({ kind: 'ok' });
  });

  test('right after an answer is an end, not a good probe that nobody doubts', async () => {
    const { sidecar, probes } = await makeScene(60_000, (server) => {
      server.onRequest = (response) => response.on('finish', () => setImmediate(() => server.dropConnections()));
      return server.start();
    });
    await eventually('it ended', () => probes.result().kind === 'ended');
    expect(probes.goodProbes()).toBe(0);
    sidecar.onRequest = () => undefined;
    await eventually('a good probe', () => probes.result().kind === 'ok');
  });

  test('twice in a row is looked at each time', async () => {
    const { sidecar, probes, ends } = await makeScene(10);
    for (let round = 0; round < 2; round += 1) {
      await eventually('a good probe', () => probes.goodProbes() > 0);
      await sidecar.kill();
      await eventually('it ended', () => probes.goodProbes() === 0);
      await sidecar.start();
    }
    await eventually('good at last', () => probes.goodProbes() >= 3);
    expect(ends).toHaveLength(2);
  });
});

test('a pace that changes counts from the next probe on', async () => {
  const { probes, pace } = await makeScene(5);
  await eventually('some probes', () => probes.goodProbes() >= 2);
  pace.periodMs = 60_000;
  await sleep(30);
  const good = probes.goodProbes();
  await sleep(30);
  expect(probes.goodProbes()).toBe(good);
});

test('after stop there is no news, and the connection is gone', async () => {
  const { sidecar, probes, news } = await makeScene(2);
  await eventually('a good probe', () => probes.goodProbes() > 0);
  await probes.stop();
  const { length } = news;
  await sidecar.kill();
  await sleep(20);
  expect(news).toHaveLength(length);
});
