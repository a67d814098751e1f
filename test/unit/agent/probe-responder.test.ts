import { once } from 'node:events';
import { createServer as createHttp, request, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { issueCertificates } from '../../../src/adapters/tls/issue.ts';
import { createProbeResponder, type ProbeResponder } from '../../../src/agent/probe-responder.ts';
import { parseAppProbes } from '../../../src/core/app-probes.ts';
import { createLogger } from '../../../src/runtime/logger.ts';

const log = createLogger('error', () => undefined);
const POD_IP = '127.0.0.1';
const PATH = '/app-health/shop/readyz';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function listening(server: { listen(port: number, host: string): unknown; address(): unknown; close(): unknown }): Promise<number> {
  server.listen(0, POD_IP);
  await once(server as Server, 'listening');
  cleanups.push(() => {
    server.close();
    if ('closeAllConnections' in server) (server as Server).closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** The port of an application on loopback. */
const app = (listener: RequestListener): Promise<number> => listening(createHttp(listener));

interface Responder {
  readonly port: number;
  readonly responder: ProbeResponder;
  readonly ask: (path?: string, headers?: Readonly<Record<string, string>>) => Promise<{ readonly status: number; readonly body: string }>;
}

async function respond(probers: Readonly<Record<string, unknown>>): Promise<Responder> {
  const server = createServer().listen(0, POD_IP);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const parsed = parseAppProbes(JSON.stringify(probers));
  expect(parsed.problems).toEqual([]);
  const responder = createProbeResponder({ server, podIP: POD_IP, probers: parsed.probers, log });
  cleanups.push(() => responder.stop());
  return { port, responder, ask: (path = PATH, headers = {}) => ask(port, path, headers) };
}

async function ask(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<{ status: number; body: string }> {
  const sent = request({ host: POD_IP, port, path, headers, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: Buffer.concat(await response.toArray()).toString() };
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, POD_IP);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

describe('what fails', () => {
  test.each(['/app-health/other/readyz', '/app-lifecycle/shop/prestopz', '/app-health/shop/readyz/'])('%s is not in the map: 400', async (path) => {
    const { ask: get } = await respond({ [PATH]: { tcpSocket: { port: 1 } } });
    expect(await get(path)).toEqual({ status: 400, body: `app prober config does not exists for ${path}` });
  });

  test('what pilot-agent serves besides probes is 404', async () => {
    const { ask: get } = await respond({});
    for (const path of ['/healthz/ready', '/stats/prometheus', '/quitquitquit', '/', '/%zz']) expect((await get(path)).status).toBe(404);
  });

  test.each(['httpGet', 'tcpSocket', 'grpc'])('%s to a closed port: 500, no body', async (kind) => {
    const { ask: get } = await respond({ [PATH]: { [kind]: { port: await closedPort() } } });
    expect(await get()).toEqual({ status: 500, body: '' });
  });

  test.each(['httpGet', 'grpc'])('%s to an application that accepts and says nothing: 500 after timeoutSeconds', async (kind) => {
    const held = new Set<Socket>();
    const port = await listening(createServer((socket) => held.add(socket)));
    cleanups.push(() => held.forEach((socket) => socket.destroy()));
    const { ask: get } = await respond({ [PATH]: { [kind]: { port }, timeoutSeconds: 1 } });
    const start = performance.now();
    expect((await get()).status).toBe(500);
    expect(performance.now() - start).toBeGreaterThan(900);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test.each(['not HTTP at all\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n', ''])('an application that answers %j: 500', async (text) => {
    const { ask: get } = await respond({ [PATH]: { httpGet: { port: await listening(createServer((socket) => socket.end(text))) } } });
    expect((await get()).status).toBe(500);
  });

  test('a body that breaks off: the status counts', async () => {
    const port = await app((_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('half');
      setTimeout(() => response.destroy(), 20);
    });
    const { ask: get } = await respond({ [PATH]: { httpGet: { port } } });
    expect(await get()).toEqual({ status: 200, body: 'half' });
  });
});

describe('httpGet', () => {
  test.each([200, 204, 404, 429, 500, 503])('status %d and the body pass through', async (status) => {
    const { ask: get } = await respond({ [PATH]: { httpGet: { port: await app((_, response) => response.writeHead(status).end('said the app')) } } });
    expect(await get()).toEqual({ status, body: status === 204 ? '' : 'said the app' });
  });

  test('the app sees path, query, headers and Host as from kubelet: port 15020 becomes its own, another Host stays', async () => {
    const port = await app((seen, response) => response.end(JSON.stringify([seen.method, seen.url, seen.headers])));
    const { ask: get } = await respond({ [PATH]: { httpGet: { port, path: 'ready now?x=ü#end' } } });
    const headers = { 'user-agent': 'kube-probe/1.36', accept: '*/*', 'x-custom': 'yes', connection: 'close', te: 'trailers' };
    const expected = { 'user-agent': 'kube-probe/1.36', accept: '*/*', 'x-custom': 'yes', connection: 'close' };
    const seen = async (host: string): Promise<unknown> => JSON.parse((await get(`${PATH}?ignored=1`, { ...headers, host })).body);
    expect(await seen('10.0.0.5:15020')).toEqual(['GET', '/ready%20now?x=%C3%BC', { ...expected, host: `10.0.0.5:${port}` }]);
    expect(await seen('[fd00::5]:15020')).toEqual(['GET', '/ready%20now?x=%C3%BC', { ...expected, host: `[fd00::5]:${port}` }]);
    expect(await seen('shop.example')).toEqual(['GET', '/ready%20now?x=%C3%BC', { ...expected, host: 'shop.example' }]);
    expect(await seen('shop.example:8080')).toEqual(['GET', '/ready%20now?x=%C3%BC', { ...expected, host: 'shop.example:8080' }]);
  });

  test('at most 10 KiB of a body without end, and the app is let go', async () => {
    const port = await app((_, response) => {
      const timer = setInterval(() => response.write('x'.repeat(4000)), 1);
      response.on('close', () => clearInterval(timer));
    });
    const { ask: get } = await respond({ [PATH]: { httpGet: { port }, timeoutSeconds: 5 } });
    expect((await get()).body).toHaveLength(10 * 1024);
  });

  const redirects: Readonly<Record<string, readonly [number, string | undefined, number]>> = {
    'to the same host is followed': [302, '/good', 200],
    'to the same host that then fails': [307, '/bad', 503],
    'to the same address in full': [301, 'http://127.0.0.1:PORT/bad', 503],
    'to another host counts as good, and is not called': [302, 'http://192.0.2.1/', 200],
    'without a location': [302, undefined, 200],
    'that is none (304)': [304, '/bad', 200],
    'that never ends': [302, '/', 500],
    'to another protocol': [302, 'ftp://127.0.0.1/', 500],
    'to nowhere': [302, 'http://[', 500],
  };
  test.each(Object.entries(redirects))('a redirect %s', async (_, [status, location, end]) => {
    let calls = 0;
    const port: number = await app((seen, response) => {
      calls += 1;
      if (seen.url === '/good') return response.end('good');
      if (seen.url === '/bad') return response.writeHead(503).end();
      return response.writeHead(status, location === undefined ? {} : { location: location.replace('PORT', String(port)) }).end();
    });
    const { ask: get } = await respond({ [PATH]: { httpGet: { port, path: '/' } } });
    expect((await get()).status).toBe(end);
    expect(calls).toBeLessThanOrEqual(10);
  });

  test('HTTPS: the certificate is not verified', async () => {
    const { key, cert } = issueCertificates({ hosts: ['app.example'], days: 1 });
    const port = await listening(createHttps({ key, cert }, (_, response) => response.end('secret')));
    const { ask: get } = await respond({ [PATH]: { httpGet: { port, scheme: 'HTTPS' } } });
    expect(await get(PATH, { host: 'shop.example:15020' })).toEqual({ status: 200, body: 'secret' });
  });
});

test('tcpSocket to a port that accepts: 200, and the connection is closed', async () => {
  let closed: Promise<unknown> | undefined;
  const port = await listening(
    createServer((socket) => {
      closed = once(socket.resume(), 'close');
    }),
  );
  const { ask: get } = await respond({ [PATH]: { tcpSocket: { port } } });
  expect(await get()).toEqual({ status: 200, body: '' });
  await closed;
});

describe('grpc', () => {
  const answers: Readonly<Record<string, readonly [string, string, number]>> = {
    serving: ['00000000020801', '0', 200],
    'not serving': ['00000000020802', '0', 500],
    'an error': ['', '12', 500],
    'serving with an error status': ['00000000020801', '13', 500],
  };
  test.each(Object.entries(answers))('%s', async (_, [hex, status, end]) => {
    const seen: unknown[] = [];
    const server = createHttp2();
    server.on('stream', (stream, headers) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        seen.push([headers[':path'], headers['content-type'], headers['user-agent'], Buffer.concat(chunks).toString('hex')]);
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
        stream.end(Buffer.from(hex, 'hex'));
      });
    });
    const { ask: get } = await respond({ [PATH]: { grpc: { port: await listening(server), service: 'shop' }, timeoutSeconds: 2 } });
    expect((await get(PATH, { 'user-agent': 'kube-probe/1.36' })).status).toBe(end);
    expect(seen).toEqual([['/grpc.health.v1.Health/Check', 'application/grpc', 'kube-probe/1.36', '00000000060a0473686f70']]);
  });
});

describe('stop', () => {
  test('ends the listener, open connections and a running probe; served counts answers', async () => {
    let arrived: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const port = await app((seen, response) => (seen.url === '/slow' ? arrived() : response.end()));
    const { port: own, responder, ask: get } = await respond({ [PATH]: { httpGet: { port } }, '/app-health/shop/livez': { httpGet: { port, path: '/slow' } } });
    await get();
    await get('/app-health/none/livez');
    expect(responder.served).toBe(2);
    const slow = get('/app-health/shop/livez').catch((error: unknown) => error);
    const idle = connect(own, POD_IP).on('error', () => undefined);
    const idleClosed = once(idle, 'close');
    await running;
    await responder.stop();
    await idleClosed;
    expect(await slow).toMatchObject({ code: 'ECONNRESET' });
    await expect(get()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
