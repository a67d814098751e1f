import { afterEach, describe, expect, test } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { issueCertificates } from '../../../src/adapters/tls/issue.ts';
import { sleep } from '../../support/eventually.ts';
import { meshedPod } from '../../support/meshed-pod.ts';
import { CERTIFICATES, reviewOf, startWebhook } from '../../support/webhook-server.ts';
import type { WebhookUnderTest } from '../../support/webhook-server.ts';

const podReview = reviewOf({ kind: { group: '', version: 'v1', kind: 'Pod' }, object: meshedPod() });
const open: WebhookUnderTest[] = [];
afterEach(async () => {
  for (const webhook of open.splice(0)) await webhook.stop();
});

async function start(...options: Parameters<typeof startWebhook>): Promise<WebhookUnderTest> {
  const webhook = await startWebhook(...options);
  open.push(webhook);
  return webhook;
}

/** A connection that has done its handshake. */
async function greet(webhook: WebhookUnderTest): Promise<TLSSocket> {
  const socket = connect({ port: webhook.server.address.port, host: '127.0.0.1', ca: CERTIFICATES.ca });
  await new Promise((resolve) => socket.once('secureConnect', resolve));
  return socket;
}

/** A request of which the last byte is missing yet. */
async function halfRequest(webhook: WebhookUnderTest): Promise<{ finish: () => void; answer: Promise<string> }> {
  const socket = await greet(webhook);
  const head = `POST /mutate/pods HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${podReview.length}\r\n\r\n`;
  socket.write(head + podReview.slice(0, -1));
  const answer = new Promise<string>((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
  await sleep(50);
  return { finish: () => socket.write(podReview.slice(-1)), answer };
}

describe('the server', () => {
  test('answers 200 reviews at a time, all of them right', async () => {
    const webhook = await start();
    const replies = await Promise.all(Array.from({ length: 200 }, () => webhook.send('/mutate/pods', podReview)));
    expect(replies.map((reply) => reply.status)).toEqual(Array.from({ length: 200 }, () => 200));
    expect(new Set(replies.map((reply) => JSON.stringify(reply.body))).size).toBe(1);
  });

  test('answers 429 with Retry-After beyond its bound, and recovers', async () => {
    const webhook = await start({}, { inFlight: 2 });
    const held = [await halfRequest(webhook), await halfRequest(webhook)];
    expect(await webhook.send('/mutate/pods', podReview)).toMatchObject({ status: 429, headers: { 'retry-after': '1' }, body: { code: 429 } });
    expect((await webhook.send('/healthz')).status).toBe(200);
    for (const request of held) request.finish();
    await sleep(50);
    expect((await webhook.send('/mutate/pods', podReview)).status).toBe(200);
  });

  test('answers 429 when the bodies being received hold too much memory, and recovers', async () => {
    const webhook = await start({}, { bufferedBytes: podReview.length + 100 });
    const held = await halfRequest(webhook);
    expect((await webhook.send('/mutate/pods', podReview)).status).toBe(429);
    held.finish();
    await sleep(50);
    expect((await webhook.send('/mutate/pods', podReview)).status).toBe(200);
  });

  test('keeps connections for longer than the API server does', async () => {
    const webhook = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: CERTIFICATES.ca });
    const sockets = new Set<unknown>();
    agent.on('free', (socket: TLSSocket) => sockets.add(socket));
    for (let round = 0; round < 3; round++) {
      const { headers } = await webhook.send('/mutate/pods', podReview, { agent });
      expect(Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])).toBeGreaterThanOrEqual(120);
    }
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  test('refuses TLS 1.1', async () => {
    const webhook = await start();
    const refused = await new Promise<Error>((resolve, reject) => {
      const socket = connect({
        port: webhook.server.address.port,
        host: '127.0.0.1',
        ca: CERTIFICATES.ca,
        minVersion: 'TLSv1.1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      });
      socket.once('error', resolve);
      socket.once('secureConnect', () => reject(new Error('connected')));
    });
    expect(refused.message).toMatch(/protocol version|unsupported/i);
  });

  test('serves a new certificate to new connections and keeps the old ones', async () => {
    const webhook = await start();
    const old = await greet(webhook);
    const next = issueCertificates({ hosts: ['localhost', '127.0.0.1'], days: 1, authority: CERTIFICATES });
    webhook.replace(next);
    const fresh = await greet(webhook);
    expect(old.getPeerX509Certificate()?.serialNumber).toBe(new X509Certificate(CERTIFICATES.cert).serialNumber);
    expect(fresh.getPeerX509Certificate()?.serialNumber).toBe(new X509Certificate(next.cert).serialNumber);
    for (const socket of [old, fresh]) {
      socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
      expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toMatch(/^HTTP\/1\.1 200 /);
      socket.destroy();
    }
  });

  test('drains: says that it closes, finishes what runs, then takes nothing more', async () => {
    const webhook = await start({}, {}, 150);
    const running = await halfRequest(webhook);
    // The API server opens connections in reserve.
    await greet(webhook);
    await webhook.send('/healthz');
    const stopped = webhook.server.stop();
    expect(webhook.server.draining).toBe(true);
    expect((await webhook.send('/mutate/pods', podReview)).headers['connection']).toBe('close');
    await sleep(300);
    await expect(webhook.send('/healthz', undefined, { agent: false, ca: CERTIFICATES.ca })).rejects.toThrow('ECONNREFUSED');
    running.finish();
    await stopped;
    expect(await running.answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('rejects when the port is taken', async () => {
    const webhook = await start();
    const { startWebhookServer } = await import('../../../src/webhook/server.ts');
    const second = startWebhookServer({
      app: () => undefined,
      certificates: { current: () => CERTIFICATES, onChange: () => undefined },
      host: '127.0.0.1',
      port: webhook.server.address.port,
      log: webhook.captured.log,
    });
    await expect(second).rejects.toThrow('EADDRINUSE');
  });
});
