import { afterEach, expect, test } from '@jest/globals';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createResultPoller } from '../../measure/poll.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

interface Answer {
  readonly status?: number;
  readonly run?: string;
  readonly next?: number;
  readonly missed?: number;
  readonly body?: string;
}

/** A load client that answers as told, and writes down what it was asked. */
async function serveAnswers(answers: readonly Answer[]): Promise<{ readonly base: string; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { status = 200, run = 'one', next = 0, missed = 0, body = '' } = answers[asked.length] ?? {};
    asked.push(request.url ?? '');
    response.writeHead(status, { 'x-run': run, 'x-next': next, 'x-missed': missed }).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const LINE = '{"n":"a","t":1,"d":2,"s":200}\n';

test.each(
  Object.entries({
    'an error of the client': { answers: [{ status: 500, body: 'no' }], want: 'the load client answered 500: no' },
    'results that were forgotten': { answers: [{ missed: 7, next: 9 }], want: 'the load client forgot 7 results before they were read' },
    'something else that listens there': { answers: [{ body: '<html>' }], want: 'not a result: <html>' },
  }),
)('poll: %s is an error, not an empty series', async (_, { answers, want }) => {
  const { base } = await serveAnswers(answers);
  await expect(createResultPoller(base).poll()).rejects.toThrow(want);
});

test('poll: a client that does not answer is an error once the time is up', async () => {
  const server = createServer(() => {});
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await expect(createResultPoller(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 50).poll()).rejects.toThrow('timeout');
});

test('poll: asks for what is new; a failed read is asked for again; a restarted client is read from its beginning', async () => {
  const { base, asked } = await serveAnswers([
    { next: 2, body: LINE + LINE },
    { status: 503, body: 'busy' },
    { next: 3, body: LINE },
    { run: 'two', next: 3 },
    { run: 'two', next: 1, body: LINE },
    { run: 'two', next: 1 },
  ]);
  const poller = createResultPoller(base);
  expect(await poller.poll()).toHaveLength(2);
  await expect(poller.poll()).rejects.toThrow('503');
  expect(await poller.poll()).toHaveLength(1);
  expect(await poller.poll()).toHaveLength(1);
  expect(await poller.poll()).toHaveLength(0);
  expect(asked.map((path) => path.replace('/results?since=', ''))).toEqual(['0', '2', '2', '3', '0', '1']);
});
