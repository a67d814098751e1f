import { afterEach, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createResultPoller } from '../../measure/poll.ts';
import { collect, isGood, longestOutage, parseResults } from '../../measure/series.ts';
import type { Result } from '../../measure/series.ts';
import { killSpawned, spawnApp, until } from './spawned.ts';
import type { Spawned } from './spawned.ts';

const servers: Server[] = [];

afterEach(() => {
  killSpawned();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener): Promise<{ readonly url: string; readonly connections: () => number }> {
  let connections = 0;
  const server = createServer(listener).on('connection', () => (connections += 1));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, connections: () => connections };
}

function startClient(settings: Readonly<Record<string, string>>): Promise<Spawned> {
  return spawnApp('client', { RESULTS_PORT: '0', RESULTS_HOST: '127.0.0.1', ...settings });
}

function resultsOf(client: Spawned): readonly Result[] {
  return parseResults(client.lines.join('\n'));
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

test('client: a server killed and started again under load is an outage of just that time', async () => {
  const first = await spawnApp('shop', { PORT: '0' });
  const port = String(first.started['port']);
  const client = await startClient({ TARGETS: `shop=http://127.0.0.1:${port}/` });
  await until(() => resultsOf(client).filter(isGood).length >= 10);
  const killedMs = nowMs();
  first.kill('SIGKILL');
  await until(() => resultsOf(client).filter((result) => !isGood(result)).length >= 10);
  const restartMs = nowMs();
  await spawnApp('shop', { PORT: port });
  const openMs = nowMs();
  await until(() => resultsOf(client).filter((result) => isGood(result) && result.t > openMs).length >= 10);
  client.kill('SIGTERM');
  expect(await client.ended).toBe(0);

  const results = collect(resultsOf(client));
  const before = results.filter((result) => result.t + result.d < killedMs - 5);
  const dead = results.filter((result) => result.t > killedMs + 50 && result.t + result.d < restartMs);
  const after = results.filter((result) => result.t > openMs);
  expect({ before: before.every(isGood), dead: dead.some(isGood), after: after.every(isGood) }).toEqual({ before: true, dead: false, after: true });
  expect(results.filter((result) => !isGood(result)).map((result) => `${result.s} ${result.e ?? ''}`)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^0 (ECONNREFUSED|ECONNRESET)$/)]),
  );
  const outage = longestOutage(results, { fromMs: 0, toMs: Infinity });
  expect(outage.open).toBe(false);
  expect(outage.ms).toBeGreaterThan(restartMs - killedMs - 150);
});

test('client: slow answers do not slow the questions down', async () => {
  const { url } = await serve((_, response) => void setTimeout(() => response.end('late'), 400));
  const client = await startClient({ TARGETS: `slow=${url}`, TIMEOUT_MS: '30000' });
  await until(() => client.lines.length >= 30);
  const starts = collect(resultsOf(client)).map((result) => result.t);
  const tookMs = (starts[29] ?? NaN) - (starts[0] ?? NaN);
  expect(tookMs).toBeGreaterThan(29 * 20 - 150); // no sooner than due
  expect(tookMs).toBeLessThan((29 * 400) / 2); // asked one after the other it would be 29 * 400
});

test('client: above the bound of requests in flight a request fails as overrun, and is not sent', async () => {
  let asked = 0;
  const { url } = await serve(() => (asked += 1));
  const client = await startClient({ TARGETS: `hung=${url}`, RATE: '200', TIMEOUT_MS: '60000', MAX_IN_FLIGHT: '5' });
  await until(() => client.lines.length >= 20 && asked >= 5);
  expect(resultsOf(client).every((result) => result.s === 0 && result.e === 'overrun')).toBe(true);
  expect(asked).toBe(5);
});

test.each(
  Object.entries({
    'no answer in time': { listener: () => {}, want: { s: 0, e: 'timeout' } },
    'an answer that breaks off': {
      listener: (_, response) => void response.writeHead(200, { 'content-length': 100 }).write('begun', () => response.destroy()),
      want: { s: 0, e: 'ECONNRESET' },
    },
    'a body that never ends': { listener: (_, response) => void response.writeHead(200).write('begun'), want: { s: 0, e: 'timeout' } },
    'a reset': { listener: (request) => void request.socket.resetAndDestroy(), want: { s: 0, e: 'ECONNRESET' } },
    'an error of the server': { listener: (_, response) => void response.writeHead(503).end('no'), want: { s: 503 } },
    'a good answer': { listener: (_, response) => void response.end('yes'), want: { s: 200 } },
  } satisfies Record<string, { listener: RequestListener; want: object }>),
)('client: %s is written down as such', async (_, { listener, want }) => {
  const { url } = await serve(listener);
  const client = await startClient({ TARGETS: `it=${url}`, TIMEOUT_MS: '300' });
  await until(() => client.lines.length >= 3);
  for (const result of resultsOf(client)) expect(result).toEqual({ n: 'it', t: expect.any(Number), d: expect.any(Number), ...want });
});

test('client: a connection for each request, or a pool if asked', async () => {
  const plain = await serve((_, response) => void response.end());
  const pooled = await serve((_, response) => void response.end());
  const clients = await Promise.all([startClient({ TARGETS: `plain=${plain.url}` }), startClient({ TARGETS: `pooled=${pooled.url}`, KEEPALIVE: '1' })]);
  await until(() => clients.every((client) => client.lines.length >= 20));
  expect(plain.connections()).toBeGreaterThanOrEqual(20);
  expect(pooled.connections()).toBeLessThan(20);
});

test('client: serves its results from any number on, the same as on stdout, for several targets', async () => {
  const { url } = await serve((_, response) => void response.end());
  const client = await startClient({ TARGETS: `a=${url},b=${url}` });
  const base = `http://127.0.0.1:${String(client.started['resultsPort'])}`;
  const poller = createResultPoller(base);
  const batches = [await poller.poll()];
  await until(() => client.lines.length >= 20);
  batches.push(await poller.poll(), await poller.poll());
  const polled = batches.flat();
  await until(() => client.lines.length >= polled.length);
  expect(polled).toEqual(resultsOf(client).slice(0, polled.length));
  expect(polled.length).toBeGreaterThanOrEqual(20);
  expect(new Set(polled.map((result) => result.n))).toEqual(new Set(['a', 'b']));
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  expect((await fetch(`${base}/results?since=-1`)).status).toBe(400);
  expect((await fetch(`${base}/results`, { method: 'POST' })).status).toBe(405);
  const future = await fetch(`${base}/results?since=1000000`);
  expect([await future.text(), future.headers.get('x-next'), future.headers.get('x-missed')]).toEqual(['', '1000000', '0']);
});

test('client: on SIGTERM it waits for what is in flight, and loses nothing', async () => {
  let asked = 0;
  const { url } = await serve((_, response) => {
    asked += 1;
    setTimeout(() => response.end(), 300);
  });
  const client = await startClient({ TARGETS: `slow=${url}`, TIMEOUT_MS: '30000' });
  await until(() => client.lines.length >= 3);
  client.kill('SIGTERM');
  expect(await client.ended).toBe(0);
  expect(resultsOf(client).filter(isGood)).toHaveLength(asked);
});

test.each(
  Object.entries({
    'no targets': { settings: {}, want: 'TARGETS is missing' },
    'a target without a name': { settings: { TARGETS: 'http://127.0.0.1/' }, want: 'TARGETS is name=http://' },
    'a target that is not http': { settings: { TARGETS: 'a=https://127.0.0.1/' }, want: 'TARGETS is name=http://' },
    'a rate of 0': { settings: { TARGETS: 'a=http://127.0.0.1:9/', RATE: '0' }, want: 'RATE is a number above 0' },
    'a timeout that is no number': { settings: { TARGETS: 'a=http://127.0.0.1:9/', TIMEOUT_MS: 'long' }, want: 'TIMEOUT_MS is a number above 0' },
    'an impossible port': { settings: { TARGETS: 'a=http://127.0.0.1:9/', RESULTS_PORT: '70000' }, want: 'RESULTS_PORT is a port number' },
  }),
)('client: %s is refused in one sentence', async (_, { settings, want }) => {
  await expect(startClient(settings)).rejects.toThrow(new RegExp(`^exit 2: ${want}.*\\n$`));
});
