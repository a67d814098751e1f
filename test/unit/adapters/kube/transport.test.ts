import { getEventListeners } from 'node:events';
import { rootCertificates } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { issueCertificates } from '../../../../src/adapters/tls/issue.ts';
import { ApiError, createKubeApi, type KubeApi } from '../../../../src/adapters/kube/transport.ts';
import { give, ignore, refuse, reset, startApiServer, type Answer, type ApiServer } from '../../../support/api-server.ts';
import { eventually, sleep } from '../../../support/eventually.ts';

const PODS = '/api/v1/pods';
const ONE = '/api/v1/namespaces/shop/pods/a';

let server: ApiServer;
let api: KubeApi;

beforeEach(async () => {
  server = await startApiServer();
  api = createKubeApi({ server: server.url }, { maxBodyBytes: 100_000, maxLineBytes: 10_000 });
});
afterEach(async () => {
  await api.close();
  await server.stop();
});

/** The error of a call that must fail. */
async function errorOf(call: Promise<unknown>): Promise<ApiError> {
  const outcome = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(outcome instanceof ApiError)) throw new Error(`wanted an ApiError, got ${String(outcome)}`);
  return outcome;
}

const inPieces: Answer = (_request, response) => {
  response.writeHead(200).write('{"half":');
};
const cutOff: Answer = (_request, response) => {
  response.writeHead(200, { 'content-length': '100' }).write('{"half":', () => response.socket?.destroy());
};
const html: Answer = (_request, response) => {
  response.writeHead(502, { 'retry-after': '7' }).end('<h1>bad gateway</h1>');
};
const notJson: Answer = (_request, response) => {
  response.writeHead(200).end('<h1>welcome to the proxy</h1>');
};
const redirect: Answer = (_request, response) => {
  response.writeHead(302, { location: 'http://localhost:1/' }).end();
};

describe('an error', () => {
  interface Want {
    readonly status: number | undefined;
    readonly reason?: string;
    readonly retryable: boolean;
    readonly retryAfterMs?: number;
    readonly message: string | RegExp;
  }
  const cases: Readonly<Record<string, { answers: Answer[]; want: Want }>> = {
    '404 is final and carries the server’s own words': {
      answers: [refuse(404, 'NotFound', 'pods "a" not found')],
      want: { status: 404, reason: 'NotFound', retryable: false, message: `GET ${ONE}: HTTP 404: pods "a" not found` },
    },
    '403 is final': {
      answers: [refuse(403, 'Forbidden', 'no')],
      want: { status: 403, reason: 'Forbidden', retryable: false, message: `GET ${ONE}: HTTP 403: no` },
    },
    '409 Conflict is a lost race': {
      answers: [refuse(409, 'Conflict', 'modified')],
      want: { status: 409, reason: 'Conflict', retryable: true, message: `GET ${ONE}: HTTP 409: modified` },
    },
    '409 AlreadyExists is final': {
      answers: [refuse(409, 'AlreadyExists', 'exists')],
      want: { status: 409, reason: 'AlreadyExists', retryable: false, message: `GET ${ONE}: HTTP 409: exists` },
    },
    '429 surfaces Retry-After': {
      answers: [refuse(429, 'TooManyRequests', 'slow down', { 'retry-after': '3' })],
      want: { status: 429, reason: 'TooManyRequests', retryable: true, retryAfterMs: 3_000, message: `GET ${ONE}: HTTP 429: slow down` },
    },
    '503 is worth another try': {
      answers: [refuse(503, 'ServiceUnavailable', 'not ready')],
      want: { status: 503, reason: 'ServiceUnavailable', retryable: true, message: `GET ${ONE}: HTTP 503: not ready` },
    },
    'the page of a proxy in front is quoted': {
      answers: [html],
      want: { status: 502, retryable: true, retryAfterMs: 7_000, message: `GET ${ONE}: HTTP 502: <h1>bad gateway</h1>` },
    },
    'a redirect is not followed': { answers: [redirect], want: { status: 302, retryable: false, message: `GET ${ONE}: HTTP 302` } },
    'a good answer that is not JSON is none': {
      answers: [notJson],
      want: { status: 200, retryable: true, message: `GET ${ONE}: HTTP 200, and the answer is not JSON` },
    },
    'no answer in time': { answers: [ignore], want: { status: undefined, retryable: true, message: `GET ${ONE}: no whole answer within 40 ms` } },
    'an answer that never ends': { answers: [inPieces], want: { status: undefined, retryable: true, message: `GET ${ONE}: no whole answer within 40 ms` } },
    'an answer that is cut off': { answers: [cutOff], want: { status: undefined, retryable: true, message: /^GET .*: no answer: / } },
    'an answer beyond the bound': {
      answers: [give({ text: 'x'.repeat(200_000) })],
      want: { status: undefined, reason: 'TooLarge', retryable: false, message: `GET ${ONE}: the answer is larger than 100000 bytes` },
    },
    'two resets in a row': { answers: [reset, reset], want: { status: undefined, retryable: true, message: /^GET .*: no answer: / } },
  };
  test.each(Object.entries(cases))('%s', async (_sentence, { answers, want }) => {
    server.next('get', ...answers);
    const error = await errorOf(api.get(ONE, { timeoutMs: answers[0] === ignore || answers[0] === inPieces ? 40 : 5_000 }));
    expect({ status: error.status, reason: error.reason, retryable: error.retryable, retryAfterMs: error.retryAfterMs }).toEqual({
      status: want.status,
      reason: want.reason,
      retryable: want.retryable,
      retryAfterMs: want.retryAfterMs,
    });
    if (typeof want.message === 'string') expect(error.message).toBe(want.message);
    else expect(error.message).toMatch(want.message);
  });

  test('nobody listens: retryable, and the address is named', async () => {
    await server.stop();
    const error = await errorOf(api.get(ONE));
    expect(error.message).toMatch(/^GET \/api\/v1\/namespaces\/shop\/pods\/a: no answer: .*ECONNREFUSED/);
    expect({ status: error.status, retryable: error.retryable }).toEqual({ status: undefined, retryable: true });
  });

  test('an aborted call ends at once and is not worth another try', async () => {
    server.next('get', ignore);
    const abort = new AbortController();
    const call = errorOf(api.get(ONE, { signal: abort.signal }));
    await eventually('the request is there', () => server.seen.length === 1);
    abort.abort();
    const error = await call;
    expect({ message: error.message, retryable: error.retryable }).toEqual({ message: `GET ${ONE}: aborted`, retryable: false });
  });
});

describe('repeats', () => {
  test('a GET whose connection was reset is sent once more', async () => {
    await api.get(ONE);
    server.next('get', reset);
    expect(await api.get(ONE)).toEqual({ path: ONE });
    expect(server.seen.length).toBe(3);
  });

  test('a write whose connection was reset is not sent again: it may have been done', async () => {
    await api.get(ONE);
    server.next('write', reset);
    await errorOf(api.patch(ONE, 'merge', {}));
    expect(server.seen.filter((request) => request.method === 'PATCH').length).toBe(1);
  });

  test('after a 401 a fresh token is fetched once, also for a write', async () => {
    const asked: (boolean | undefined)[] = [];
    const bearerToken = (renew?: boolean) => {
      asked.push(renew);
      return Promise.resolve(renew === true ? 'new' : 'old');
    };
    const authorized = createKubeApi({ server: server.url, bearerToken });
    server.next('write', refuse(401, 'Unauthorized', 'expired'));
    await authorized.create(`${ONE}/x`, { a: 1 });
    server.next('write', refuse(401, 'Unauthorized', 'expired'), refuse(401, 'Unauthorized', 'still'));
    const error = await errorOf(authorized.create(`${ONE}/x`, { a: 1 }));
    expect({ status: error.status, retryable: error.retryable }).toEqual({ status: 401, retryable: true });
    expect(asked).toEqual([false, true, false, true]);
    expect(server.seen.map((request) => request.headers.authorization)).toEqual(['Bearer old', 'Bearer new', 'Bearer old', 'Bearer new']);
    await authorized.close();
  });
});

test('tokens that expire over and over use up no connections', async () => {
  const authorized = createKubeApi({ server: server.url, bearerToken: () => Promise.resolve('t') });
  for (let n = 0; n < 40; n += 1) {
    server.next('get', refuse(401, 'Unauthorized', 'x'.repeat(120_000)));
    await authorized.get(ONE);
  }
  expect(server.connections).toBeLessThanOrEqual(2);
  await authorized.close();
});

describe('what is sent', () => {
  const kinds = { json: 'application/json-patch+json', merge: 'application/merge-patch+json', strategic: 'application/strategic-merge-patch+json' } as const;
  test.each(Object.entries(kinds))('a %s patch says what it is, and who writes', async (kind, contentType) => {
    await api.patch(ONE, kind as keyof typeof kinds, [{ a: 'ä' }]);
    const [request] = server.seen;
    expect({ type: request?.headers['content-type'], manager: request?.query.get('fieldManager'), body: request?.body }).toEqual({
      type: contentType,
      manager: 'hot-switch',
      body: '[{"a":"ä"}]',
    });
  });

  test('the path of the server’s own address comes first, and queries are escaped', async () => {
    const behind = createKubeApi({ server: `${server.url}/k8s/clusters/one/` }, { userAgent: 'hot-switch-agent' });
    await behind.get(PODS, { query: { fieldSelector: 'spec.nodeName=a&b' } });
    const [request] = server.seen;
    expect({ path: request?.path, selector: request?.query.get('fieldSelector'), agent: request?.headers['user-agent'] }).toEqual({
      path: '/k8s/clusters/one/api/v1/pods',
      selector: 'spec.nodeName=a&b',
      agent: 'hot-switch-agent',
    });
    await behind.close();
  });

  test('300 calls share their connections', async () => {
    for (let n = 0; n < 100; n += 1) await api.get(ONE);
    expect(server.connections).toBeLessThanOrEqual(2);
    await Promise.all(Array.from({ length: 200 }, () => api.get(ONE)));
    expect(server.connections).toBeLessThanOrEqual(32);
  });
});

describe('a stream', () => {
  const open = (silenceMs = 5_000, signal?: AbortSignal) =>
    api.stream(PODS, { query: { watch: 'true', resourceVersion: String(server.version) }, silenceMs, ...(signal !== undefined && { signal }) });

  async function collect(lines: AsyncIterable<string>): Promise<{ lines: string[]; error: ApiError | undefined }> {
    const got: string[] = [];
    try {
      for await (const line of lines) got.push(line);
    } catch (error) {
      if (error instanceof ApiError) return { lines: got, error };
      throw error;
    }
    return { lines: got, error: undefined };
  }

  test('a refusal is an error with the server’s words', async () => {
    server.next('watch', refuse(410, 'Expired', 'too old'));
    const error = await errorOf(open());
    expect({ status: error.status, reason: error.reason, message: error.message }).toEqual({
      status: 410,
      reason: 'Expired',
      message: `GET ${PODS}: HTTP 410: too old`,
    });
  });

  test('a reset breaks it, after the lines that came', async () => {
    const got = collect(await open());
    server.put('a', 1);
    await sleep(5);
    server.harm('reset');
    const { lines, error } = await got;
    expect({ lines: lines.length, status: error?.status, retryable: error?.retryable }).toEqual({ lines: 1, status: undefined, retryable: true });
  });

  test('an unfinished last line is dropped', async () => {
    const got = collect(await open());
    server.put('a', 1);
    server.harm('truncated line');
    expect((await got).lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual(['ADDED']);
  });

  test('a line beyond the bound breaks it', async () => {
    const got = collect(await open());
    server.harm('huge line');
    expect((await got).error?.reason).toBe('LineTooLong');
  });

  test('silence breaks it, and every line starts the count anew', async () => {
    const got = collect(await open(60));
    for (let n = 0; n < 5; n += 1) {
      await sleep(20);
      server.put('a', n);
    }
    const { lines, error } = await got;
    expect({ lines: lines.length, message: error?.message, retryable: error?.retryable }).toEqual({
      lines: 5,
      message: `GET ${PODS}: nothing came for 60 ms`,
      retryable: true,
    });
    await eventually('the server sees it gone', () => server.openWatches === 0);
  });

  test('silence that nobody waits on ends the request all the same', async () => {
    await open(20);
    expect(server.openWatches).toBe(1);
    await eventually('the server sees it gone', () => server.openWatches === 0);
  });

  test('an abort ends it', async () => {
    const abort = new AbortController();
    const got = collect(await open(5_000, abort.signal));
    abort.abort();
    expect((await got).error?.retryable).toBe(false);
    await eventually('the server sees it gone', () => server.openWatches === 0);
  });

  test('a reader that leaves early frees the connection', async () => {
    const lines = await open();
    server.put('a', 1);
    for await (const line of lines) {
      expect(line).toContain('ADDED');
      break;
    }
    await eventually('the server sees it gone', () => server.openWatches === 0);
  });

  test('close() ends it', async () => {
    const got = collect(await open());
    await api.close();
    expect((await got).error).toBeInstanceOf(ApiError);
    expect((await errorOf(api.get(ONE))).retryable).toBe(false);
  });

  test('ends without an error when the server ends it', async () => {
    const got = collect(await open());
    server.put('a', 1);
    server.harm('end');
    expect(await got).toMatchObject({ lines: [expect.stringContaining('ADDED')], error: undefined });
  });

  test('leaves no listener on the caller’s signal, which outlives many streams', async () => {
    const abort = new AbortController();
    const got = collect(await open(5_000, abort.signal));
    await api.get(ONE, { signal: abort.signal });
    server.next('watch', refuse(503, '', ''));
    await errorOf(open(5_000, abort.signal));
    expect(getEventListeners(abort.signal, 'abort').length).toBe(1);
    server.harm('end');
    await got;
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  });
});

describe('TLS', () => {
  const issued = issueCertificates({ hosts: ['localhost'], days: 1 });

  test('a server of another CA is refused until the connection’s CA changes', async () => {
    const secure = await startApiServer({ key: issued.key, cert: issued.cert });
    let ca = rootCertificates[0] ?? '';
    const client = createKubeApi({
      server: secure.url,
      get ca() {
        return ca;
      },
    });
    expect((await errorOf(client.get(ONE))).message).toMatch(/no answer: .*(certificate|signature)/);
    ca = issued.ca;
    expect(await client.get(ONE)).toEqual({ path: ONE });
    await client.close();
    await secure.stop();
  });

  test('skipTlsVerify takes any', async () => {
    const secure = await startApiServer({ key: issued.key, cert: issued.cert });
    const client = createKubeApi({ server: secure.url, skipTlsVerify: true });
    expect(await client.get(ONE)).toEqual({ path: ONE });
    await client.close();
    await secure.stop();
  });
});
