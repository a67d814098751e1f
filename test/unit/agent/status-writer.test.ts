import { afterEach, describe, expect, test } from '@jest/globals';
import { createStatusWriter, type StatusWriter } from '../../../src/agent/status-writer.ts';
import { BYPASS_RECORD, TRAFFIC_LABEL } from '../../../src/api/keys.ts';
import { endRecord } from '../../../src/core/bypass-history.ts';
import type { DesiredStatus } from '../../../src/core/pod-status.ts';
import type { Backoff } from '../../../src/runtime/backoff.ts';
import { captureLog } from '../../support/captured-log.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { FakePodWriter } from '../../support/fake-pod-writer.ts';
import { conditionIn, makeRunningPod } from '../../support/running-pod.ts';
import { NOW_MS, running, seen } from '../../support/snapshot.ts';

const TLS_MODE = 'security.istio.io/tlsMode';
const QUICK: Backoff = { minMs: 2, maxMs: 10, factor: 2, jitter: 0 };
const RECORD = running(0);
const BYPASSED: DesiredStatus = {
  decision: { act: 'keep', traffic: 'bypassed', reason: 'ProxyBypassed', message: 'dead' },
  observation: seen('dead'),
  record: RECORD,
};
const MESHED: DesiredStatus = {
  decision: { act: 'keep', traffic: 'meshed', reason: 'Meshed', message: 'fine' },
  observation: seen('healthy'),
  record: endRecord(RECORD, NOW_MS),
};
const UNKNOWN: DesiredStatus = { ...MESHED, decision: { ...MESHED.decision, traffic: undefined }, observation: seen('unknown') };

const started: StatusWriter[] = [];
afterEach(() => started.splice(0).forEach((status) => status.stop()));

function makeScene(backoff = QUICK): { server: FakePodWriter; status: StatusWriter; lines: readonly Record<string, unknown>[] } {
  const server = new FakePodWriter(makeRunningPod());
  const { log, lines } = captureLog();
  const status = createStatusWriter(server.pod, { writer: server, log, nowMs: () => NOW_MS, backoff });
  server.onChange = (pod) => status.observe(pod);
  started.push(status);
  return { server, status, lines };
}
const labelOf = (server: FakePodWriter): string | undefined => server.pod.metadata.labels?.[TRAFFIC_LABEL];

describe('when the API server does not take it', () => {
  test('an outage of many tries: the newest wish is written once it is back', async () => {
    const { server, status, lines } = makeScene();
    server.failWrites = Number.POSITIVE_INFINITY;
    status.want(BYPASSED);
    await eventually('some tries', () => server.tries >= 5);
    status.want(MESHED);
    status.want(BYPASSED);
    server.failWrites = 0;
    await eventually('the write', () => labelOf(server) === 'bypassed');
    expect(server.writes).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 'warn', message: 'status not written yet', failures: 1 });
  });

  test('tries are paced, however often something is wished or seen', async () => {
    const { server, status } = makeScene({ minMs: 60_000, maxMs: 60_000, factor: 1, jitter: 0 });
    server.failWrites = Number.POSITIVE_INFINITY;
    status.want(BYPASSED);
    for (let round = 0; round < 20; round += 1) {
      await sleep(1);
      status.want(round % 2 === 0 ? MESHED : BYPASSED);
      status.observe(server.pod);
    }
    expect(server.tries).toBe(1);
  });

  test('a write whose answer was lost is not taken for one that did not happen', async () => {
    const { server, status } = makeScene();
    server.loseAnswers = 1;
    status.want(BYPASSED);
    await eventually('the write', () => server.writes.length === 1);
    await sleep(30);
    expect(server.writes).toHaveLength(1);
    status.want(MESHED);
    await eventually('the restore', () => labelOf(server) === 'meshed');
    expect(server.pod.metadata.labels?.[TLS_MODE]).toBe('istio');
  });

  test('also when no watch tells of it', async () => {
    const { server, status } = makeScene();
    server.onChange = () => undefined;
    server.loseAnswers = 1;
    status.want(BYPASSED);
    status.want(MESHED);
    await eventually('the restore', () => server.pod.metadata.labels?.[TLS_MODE] === 'istio' && labelOf(server) === 'meshed');
    expect(server.pod.metadata.annotations?.[BYPASS_RECORD]).toContain('until');
  });

  test('a pod that is gone is left alone', async () => {
    const { server, status } = makeScene();
    server.gone = true;
    status.want(BYPASSED);
    await eventually('one try', () => server.tries === 1);
    await sleep(1);
    status.want(MESHED);
    status.observe(server.pod);
    await sleep(20);
    expect(server.tries).toBe(1);
  });

  test('somebody takes every write back: no storm of writes', async () => {
    const { server, status } = makeScene({ minMs: 20, maxMs: 10_000, factor: 10, jitter: 0 });
    const before = server.pod;
    server.meddle = () => before;
    status.want(BYPASSED);
    await sleep(100);
    // At 0 and 20 ms; the third would come at 220 ms.
    expect(server.tries).toBeLessThanOrEqual(3);
    expect(server.tries).toBeGreaterThanOrEqual(2);
  });

  test('a new transition does not wait behind such a fight', async () => {
    const { server, status } = makeScene({ minMs: 60_000, maxMs: 60_000, factor: 1, jitter: 0 });
    const before = server.pod;
    server.meddle = () => before;
    status.want(MESHED);
    await eventually('one write', () => server.writes.length === 1);
    server.meddle = (pod) => pod;
    status.want(BYPASSED);
    await eventually('the bypass', () => labelOf(server) === 'bypassed');
    expect(server.tries).toBe(2);
  });
});

describe('too little known', () => {
  test('does not undo a wish that was not written yet', async () => {
    const { server, status } = makeScene();
    status.want(BYPASSED);
    await eventually('the bypass', () => labelOf(server) === 'bypassed');
    server.failWrites = 3;
    status.want(MESHED);
    status.want(UNKNOWN);
    await eventually('the restore', () => labelOf(server) === 'meshed');
    expect(server.pod.metadata.labels?.[TLS_MODE]).toBe('istio');
    expect(conditionIn(server.pod, 'ProxyHealthy')?.status).toBe('Unknown');
  });
});

describe('one write at a time', () => {
  test('wishes during a write: only the newest is written after it', async () => {
    const { server, status } = makeScene();
    let release = (): void => undefined;
    server.hold = new Promise((resolve) => (release = resolve));
    status.want(BYPASSED);
    status.want(MESHED);
    status.want({ ...BYPASSED, record: running(1) });
    await sleep(5);
    expect(server.tries).toBe(1);
    release();
    await eventually('the newest', () => server.pod.metadata.annotations?.[BYPASS_RECORD] === JSON.stringify(running(1)));
    expect(server.writes).toHaveLength(2);
  });

  test('what the pod says already is not written', async () => {
    const { server, status } = makeScene();
    status.want(MESHED);
    await eventually('the write', () => server.writes.length === 1);
    for (let round = 0; round < 5; round += 1) {
      await sleep(2);
      status.want(MESHED);
    }
    expect(server.tries).toBe(1);
  });

  test('what somebody else takes away is put back', async () => {
    const { server, status } = makeScene();
    status.want(BYPASSED);
    await eventually('the bypass', () => labelOf(server) === 'bypassed');
    server.set({ ...server.pod, metadata: { ...server.pod.metadata, labels: { [TLS_MODE]: 'istio' } } });
    await eventually('it is back', () => labelOf(server) === 'bypassed');
    expect(server.pod.metadata.labels?.[TLS_MODE]).toBe('disabled');
  });

  test('an event that is older than the last write costs no second write', async () => {
    const { server, status } = makeScene({ minMs: 20, maxMs: 20, factor: 1, jitter: 0 });
    const old = server.pod;
    status.want(BYPASSED);
    await eventually('the bypass', () => server.writes.length === 1);
    await sleep(1);
    status.observe(old);
    status.observe(server.pod);
    await sleep(40);
    expect(server.writes).toHaveLength(1);
  });

  test('nothing is written after stop', async () => {
    const { server, status } = makeScene();
    server.failWrites = 1;
    status.want(BYPASSED);
    await eventually('one try', () => server.tries === 1);
    status.stop();
    status.want(MESHED);
    await sleep(20);
    expect(server.tries).toBe(1);
  });
});
