import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createHealthConnection, type HealthConnection } from '../../../src/agent/health-connection.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { loopbackAddress, SidecarServer } from '../../support/sidecar-server.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

interface Scene {
  readonly sidecar: SidecarServer;
  readonly connection: HealthConnection;
  readonly ends: () => number;
}

async function makeScene(): Promise<Scene> {
  const sidecar = new SidecarServer();
  await sidecar.start();
  let ends = 0;
  const connection = createHealthConnection(sidecar.address, () => (ends += 1));
  cleanups.push(
    () => sidecar.kill(),
    () => connection.close(),
  );
  return { sidecar, connection, ends: () => ends };
}

describe('a probe that fails', () => {
  test('nobody listens: at once', async () => {
    const connection = createHealthConnection(loopbackAddress(), () => undefined);
    cleanups.push(() => connection.close());
    expect(await connection.probe(2000)).toEqual({ kind: 'failed', why: 'ECONNREFUSED' });
  });

  test('no answer in time, and that is no end of the connection', async () => {
    const { sidecar, connection, ends } = await makeScene();
    sidecar.hangs = true;
    expect(await connection.probe(60)).toEqual({ kind: 'failed', why: 'no answer within 60 ms' });
    sidecar.hangs = false;
    expect(await connection.probe(2000)).toEqual({ kind: 'ok' });
    expect(ends()).toBe(0);
  });

  test('another status than 200', async () => {
    const { sidecar, connection, ends } = await makeScene();
    sidecar.status = 503;
    expect(await connection.probe(2000)).toEqual({ kind: 'failed', why: 'answered 503' });
    expect(ends()).toBe(0);
  });

  test('the sidecar dies before it has answered', async () => {
    const { sidecar, connection, ends } = await makeScene();
    sidecar.hangs = true;
    sidecar.onRequest = () => void sidecar.kill();
    expect(await connection.probe(2000)).toMatchObject({ kind: 'failed', why: expect.stringMatching(/UND_ERR_SOCKET|ECONNRESET/) });
    expect(ends()).toBe(1);
  });

  test('what answers is no HTTP', async () => {
    const address = loopbackAddress();
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined).write('SSH-2.0-OpenSSH\r\n');
    }).listen(15021, address);
    await once(server, 'listening');
    expect((server.address() as AddressInfo).port).toBe(15021);
    const connection = createHealthConnection(address, () => undefined);
    cleanups.push(
      () => server.close(),
      () => sockets.forEach((socket) => socket.destroy()),
      () => connection.close(),
    );
    expect(await connection.probe(2000)).toMatchObject({ kind: 'failed' });
  });
});

describe('the held connection', () => {
  test('one serves any number of probes', async () => {
    const { sidecar, connection } = await makeScene();
    for (let probe = 0; probe < 5; probe += 1) expect(await connection.probe(2000)).toEqual({ kind: 'ok' });
    expect([sidecar.requests, sidecar.connections]).toEqual([5, 1]);
  });

  test('its end is told within milliseconds, without a probe under way', async () => {
    const { sidecar, connection, ends } = await makeScene();
    await connection.probe(2000);
    const startMs = performance.now();
    await sidecar.kill();
    await eventually('the end was told', () => ends() === 1);
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(await connection.probe(2000)).toEqual({ kind: 'failed', why: 'ECONNREFUSED' });
    expect(ends()).toBe(1);
  });

  test('the next probe makes a new one when the sidecar is back', async () => {
    const { sidecar, connection, ends } = await makeScene();
    await connection.probe(2000);
    await sidecar.kill();
    await eventually('the end was told', () => ends() === 1);
    await sidecar.start();
    expect(await connection.probe(2000)).toEqual({ kind: 'ok' });
    sidecar.dropConnections();
    await eventually('the second end was told', () => ends() === 2);
  });

  test('an answer that announces the end is good, and that end is none of a sidecar', async () => {
    const { sidecar, connection, ends } = await makeScene();
    sidecar.onRequest = (response) => response.setHeader('connection', 'close');
    expect(await connection.probe(2000)).toEqual({ kind: 'ok' });
    await eventually('the server has seen the end', () => sidecar.connections === 1);
    expect(await connection.probe(2000)).toEqual({ kind: 'ok' });
    expect([sidecar.connections, ends()]).toEqual([2, 0]);
  });

  test('closing it ends the probe under way, and is no end', async () => {
    const { sidecar, connection, ends } = await makeScene();
    sidecar.hangs = true;
    const probe = connection.probe(5000);
    await eventually('the request arrived', () => sidecar.requests === 1);
    await connection.close();
    expect(await probe).toMatchObject({ kind: 'failed' });
    await sleep(5);
    expect(ends()).toBe(0);
  });

  test('an IPv6 address', async () => {
    const connection = createHealthConnection('::1', () => undefined);
    cleanups.push(() => connection.close());
    expect(await connection.probe(2000)).toMatchObject({ kind: 'failed', why: expect.stringMatching(/^E(CONNREFUSED|ADDRNOTAVAIL|AFNOSUPPORT)/) });
  });
});
