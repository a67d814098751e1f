import { afterEach, expect, test } from '@jest/globals';
import { Agent, get } from 'node:http';
import { killSpawned, spawnApp } from './spawned.ts';
import type { Spawned } from './spawned.ts';

afterEach(killSpawned);

async function openShop(): Promise<{ readonly shop: Spawned; readonly base: string }> {
  const shop = await spawnApp('shop', { PORT: '0', APP: 'shop', POD: 'shop-0' });
  return { shop, base: `http://127.0.0.1:${String(shop.started['port'])}` };
}

test.each(
  Object.entries({
    'an unknown page is not found': { path: '/basket', method: 'GET', want: 404 },
    'a control page is not obeyed by GET': { path: '/control/unready', method: 'GET', want: 404 },
    'a wait that is no number is refused': { path: '/slow?ms=soon', method: 'GET', want: 400 },
    'a wait that is negative is refused': { path: '/slow?ms=-1', method: 'GET', want: 400 },
    'a short wait is answered': { path: '/slow?ms=1', method: 'GET', want: 200 },
    'it is healthy from the start': { path: '/healthz', method: 'GET', want: 200 },
  }),
)('shop: %s', async (_, { path, method, want }) => {
  const { base } = await openShop();
  expect((await fetch(base + path, { method })).status).toBe(want);
});

test('shop: says who it is, who asks and how often it served', async () => {
  const { base } = await openShop();
  await fetch(base);
  expect(await (await fetch(base)).json()).toEqual({ app: 'shop', pod: 'shop-0', served: 2, peer: expect.stringContaining('127.0.0.1') });
});

test('shop: not ready when told so, ready again when told so, serving throughout', async () => {
  const { base } = await openShop();
  const statuses = async (): Promise<readonly number[]> => [(await fetch(`${base}/healthz`)).status, (await fetch(base)).status];
  await fetch(`${base}/control/unready`, { method: 'POST' });
  const unready = await statuses();
  await fetch(`${base}/control/ready`, { method: 'POST' });
  expect({ unready, healed: await statuses() }).toEqual({ unready: [503, 200], healed: [200, 200] });
});

test('shop: on SIGTERM it listens no more, ends what runs, cuts off what would last, and exits 0', async () => {
  const { shop, base } = await openShop();
  const agent = new Agent({ keepAlive: true });
  const status = (path: string): Promise<number | string> =>
    new Promise((resolve) => {
      get(base + path, { agent }, (response) => resolve(response.resume().statusCode ?? 0)).on('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code ?? ''),
      );
    });
  const short = status('/slow?ms=300');
  const long = status('/slow?ms=60000');
  await status('/');
  shop.kill('SIGTERM');
  expect(await short).toBe(200);
  expect(await status('/')).toMatch(/ECONNREFUSED|ECONNRESET/);
  expect(await long).toBe('ECONNRESET');
  expect(await shop.ended).toBe(0);
});

test('shop: a taken port is one sentence, not a stack', async () => {
  const { shop } = await openShop();
  await expect(spawnApp('shop', { PORT: String(shop.started['port']) })).rejects.toThrow(/^exit 1: the shop cannot listen on port \d+: .*EADDRINUSE.*\n$/);
});
