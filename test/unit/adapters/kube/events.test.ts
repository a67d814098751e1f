import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createEventRecorder, type EventRecorderOptions } from '../../../../src/adapters/kube/events.ts';
import { createKubeApi, type KubeApi } from '../../../../src/adapters/kube/transport.ts';
import { ignore, late, refuse, reset, startApiServer, type ApiServer } from '../../../support/api-server.ts';
import { captureLog, type CapturedLog } from '../../../support/captured-log.ts';
import { eventually, sleep } from '../../../support/eventually.ts';

const POD = { kind: 'Pod', namespace: 'shop', name: 'api-1', uid: 'uid-1' } as const;

let server: ApiServer;
let api: KubeApi;
let captured: CapturedLog;
beforeEach(async () => {
  server = await startApiServer();
  api = createKubeApi({ server: server.url });
  captured = captureLog();
});
afterEach(async () => {
  await api.close();
  await server.stop();
});

function create(options: Partial<EventRecorderOptions> = {}) {
  return createEventRecorder({
    api,
    component: 'hot-switch-agent',
    node: 'node-1',
    log: captured.log,
    backoff: { minMs: 2, maxMs: 10, factor: 2, jitter: 0 },
    flushMs: 200,
    ...options,
  });
}

/** Messages in the order in which they arrived. */
function messages(): string[] {
  return server.seen.map((request) => (JSON.parse(request.body) as { message: string }).message);
}

function warnings(): unknown[] {
  return captured.lines.filter((line) => line['level'] === 'warn').map((line) => line['message']);
}

describe('an event recorder', () => {
  test('sends again, in order, what was refused or lost, under the same name', async () => {
    server.next('write', refuse(503, '', ''), reset, refuse(429, 'TooManyRequests', ''));
    const recorder = create();
    recorder.record(POD, 'Warning', 'ProxyBypassed', 'one');
    recorder.record(POD, 'Normal', 'ProxyRestored', 'two');
    await eventually('all came', () => messages().length === 5);
    await recorder.stop();
    expect(messages()).toEqual(['one', 'one', 'one', 'one', 'two']);
    expect(new Set(server.seen.map((request) => (JSON.parse(request.body) as { metadata: { name: string } }).metadata.name)).size).toBe(2);
  });

  test('one that exists already was written before its answer was lost', async () => {
    server.next('write', reset, refuse(409, 'AlreadyExists', 'exists'));
    const recorder = create();
    recorder.record(POD, 'Normal', 'Meshed', 'one');
    await eventually('the repeat', () => messages().length === 2);
    await recorder.stop();
    expect({ sent: messages(), warnings: warnings() }).toEqual({ sent: ['one', 'one'], warnings: [] });
  });

  test('one that is refused for good is given up, and the next is sent', async () => {
    server.next('write', refuse(403, 'Forbidden', 'namespace is being terminated'));
    const recorder = create();
    recorder.record(POD, 'Normal', 'Meshed', 'one');
    recorder.record(POD, 'Normal', 'Meshed', 'two');
    await eventually('both', () => messages().length === 2);
    await recorder.stop();
    expect(warnings()).toEqual(['event could not be written']);
  });

  test('one that always fails does not hold up the rest for ever', async () => {
    server.next('write', ...Array.from({ length: 8 }, () => refuse(500, 'InternalError', '')));
    const recorder = create();
    recorder.record(POD, 'Normal', 'Meshed', 'poison');
    recorder.record(POD, 'Normal', 'Meshed', 'fine');
    await eventually('the next one', () => messages().includes('fine'));
    await recorder.stop();
    expect(warnings()).toEqual(['event could not be written']);
  });

  test('an outage is waited out; beyond the bound the oldest are dropped and counted', async () => {
    await server.stop();
    const recorder = create({ maxQueued: 3 });
    for (let n = 0; n < 10; n += 1) recorder.record(POD, 'Normal', 'Meshed', String(n));
    await sleep(20);
    await server.start();
    await eventually('the rest', () => messages().length === 3);
    await recorder.stop();
    expect(messages()).toEqual(['7', '8', '9']);
    expect(captured.lines.filter((line) => line['level'] === 'warn').map((line) => line['dropped'])).toEqual([1, 2, 4]);
  });

  test('one that is dropped while it is being sent takes no other with it', async () => {
    server.next('write', late);
    const recorder = create({ maxQueued: 3 });
    recorder.record(POD, 'Normal', 'Meshed', '0');
    await eventually('the first', () => server.seen.length === 1);
    for (let n = 1; n < 4; n += 1) recorder.record(POD, 'Normal', 'Meshed', String(n));
    await eventually('all', () => server.seen.length === 4);
    await recorder.stop();
    expect(messages()).toEqual(['0', '1', '2', '3']);
  });

  test('stop sends what is left', async () => {
    const recorder = create();
    for (let n = 0; n < 5; n += 1) recorder.record(POD, 'Normal', 'Meshed', String(n));
    await recorder.stop();
    recorder.record(POD, 'Normal', 'Meshed', 'late');
    await sleep(10);
    expect(messages()).toEqual(['0', '1', '2', '3', '4']);
  });

  test('stop does not wait longer than its bound, and says what is lost', async () => {
    server.next('write', ignore);
    const recorder = create({ flushMs: 20 });
    recorder.record(POD, 'Normal', 'Meshed', 'one');
    recorder.record(POD, 'Normal', 'Meshed', 'two');
    const startMs = performance.now();
    await recorder.stop();
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(captured.lines.find((line) => line['message'] === 'events not written at the end')?.['count']).toBe(2);
  });

  test('writes a core/v1 Event in the namespace of the pod', async () => {
    const recorder = create();
    recorder.record({ ...POD, name: 'x'.repeat(253) }, 'Warning', 'ProxyBypassed', 'The sidecar failed.');
    await recorder.stop();
    const [request] = server.seen;
    expect(request?.path).toBe('/api/v1/namespaces/shop/events');
    const body = JSON.parse(request?.body ?? '') as { metadata: { name: string } };
    expect(body).toEqual({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: expect.stringMatching(/^x{236}\.[0-9a-f]{16}$/), namespace: 'shop' },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'x'.repeat(253), uid: 'uid-1' },
      type: 'Warning',
      reason: 'ProxyBypassed',
      message: 'The sidecar failed.',
      source: { component: 'hot-switch-agent', host: 'node-1' },
      reportingComponent: 'hot-switch-agent',
      reportingInstance: 'node-1',
      firstTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      lastTimestamp: expect.any(String),
      count: 1,
    });
  });

  test('cuts a long message at 1024 bytes, never inside a character', async () => {
    const recorder = create();
    recorder.record(POD, 'Normal', 'Meshed', 'é'.repeat(2_000));
    recorder.record(POD, 'Normal', 'Meshed', 'e'.repeat(1_024));
    await recorder.stop();
    expect(messages()).toEqual([`${'é'.repeat(510)}…`, 'e'.repeat(1_024)]);
  });
});
