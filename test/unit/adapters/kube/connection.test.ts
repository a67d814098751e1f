import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { resolveConnection } from '../../../../src/adapters/kube/connection.ts';
import { cacheToken } from '../../../../src/adapters/kube/token-cache.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'connection-'));
});
afterEach(() => rm(dir, { recursive: true }));

const ENV = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

describe('in a cluster', () => {
  async function files(token: string): Promise<void> {
    await writeFile(join(dir, 'token'), token);
    await writeFile(join(dir, 'ca.crt'), 'CA one');
  }

  test('without the variables of kubelet it says which are missing', async () => {
    await files('t');
    await expect(resolveConnection({ env: {}, serviceAccountDir: dir })).rejects.toThrow(
      `${dir} exists, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: cannot tell where the API server is.`,
    );
  });

  test('without a CA it says which file', async () => {
    await writeFile(join(dir, 'token'), 't');
    await expect(resolveConnection({ env: ENV, serviceAccountDir: dir })).rejects.toThrow(`Cannot read the CA of the API server, ${dir}/ca.crt: ENOENT`);
  });

  test('an empty token is an error, never an anonymous request', async () => {
    await files('\n');
    const connection = await resolveConnection({ env: ENV, serviceAccountDir: dir });
    await expect(connection.bearerToken?.()).rejects.toThrow(`The service account's token, ${dir}/token, is empty.`);
  });

  test('address, CA and token come from the service account', async () => {
    await files('secret\n');
    const connection = await resolveConnection({ env: ENV, serviceAccountDir: dir });
    expect([connection.server, connection.ca, await connection.bearerToken?.()]).toEqual(['https://10.96.0.1:443', 'CA one', 'secret']);
  });

  test('an IPv6 address gets its brackets', async () => {
    await files('t');
    const connection = await resolveConnection({ env: { ...ENV, KUBERNETES_SERVICE_HOST: 'fd00::1' }, serviceAccountDir: dir });
    expect(connection.server).toBe('https://[fd00::1]:443');
  });

  test('a CA that changes is seen, and a CA file that vanishes does not take the CA away', async () => {
    await files('t');
    const connection = await resolveConnection({ env: ENV, serviceAccountDir: dir });
    await writeFile(join(dir, 'ca.crt'), 'CA two');
    const changed = connection.ca;
    await rm(join(dir, 'ca.crt'));
    expect([changed, connection.ca]).toEqual(['CA two', 'CA two']);
  });
});

describe('a kubeconfig', () => {
  const config = (server: string, user: string) => `
apiVersion: v1
kind: Config
current-context: one
clusters: [{ name: c, cluster: { server: '${server}', certificate-authority-data: ${Buffer.from('CA').toString('base64')}, tls-server-name: inside } }]
users: [{ name: u, user: { ${user} } }]
contexts: [{ name: one, context: { cluster: c, user: u } }, { name: two, context: { cluster: c, user: u } }, { name: lost, context: { cluster: nowhere, user: u } }]
`;
  const file = () => join(dir, 'config');
  const base64 = (text: string) => Buffer.from(text).toString('base64');

  const failures: Readonly<Record<string, { content?: string; context?: string; want: string }>> = {
    'a missing file is named': { want: 'Cannot read the kubeconfig DIR/config: ENOENT' },
    'a broken file is named': { content: '{', want: 'Cannot read the kubeconfig DIR/config: ' },
    'an unknown context is named beside those that exist': {
      content: config('https://a:1', ''),
      context: 'three',
      want: 'The kubeconfig has no context "three"; it has one, two, lost.',
    },
    'a context without its cluster is named': {
      content: config('https://a:1', ''),
      context: 'lost',
      want: 'The kubeconfig\'s context "lost" names a cluster that it does not contain.',
    },
    'no current context': { content: config('https://a:1', '').replace('current-context: one', ''), want: 'The kubeconfig has no current context' },
    'user names and passwords are refused': { content: config('https://a:1', 'username: a, password: b'), want: 'The kubeconfig has a user name and password' },
  };
  test.each(Object.entries(failures))('%s', async (_sentence, { content, context, want }) => {
    if (content !== undefined) await writeFile(file(), content);
    await expect(resolveConnection({ kubeconfig: file(), ...(context !== undefined && { context }) })).rejects.toThrow(want.replace('DIR', dir));
  });

  test('certificates come as PEM, and an explicit file wins over a service account', async () => {
    await writeFile(join(dir, 'token'), 't');
    await writeFile(file(), config('https://a:1', `client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')}`));
    expect(await resolveConnection({ kubeconfig: file(), context: 'two', env: ENV, serviceAccountDir: dir })).toEqual({
      server: 'https://a:1',
      ca: 'CA',
      clientCert: 'CERT',
      clientKey: 'KEY',
      serverName: 'inside',
    });
  });

  test('a token is given as it is', async () => {
    await writeFile(file(), config('https://a:1', 'token: secret'));
    const connection = await resolveConnection({ kubeconfig: file() });
    expect([await connection.bearerToken?.(), connection.clientCert]).toEqual(['secret', undefined]);
  });
});

describe('a cached token', () => {
  function create(outcomes: (string | Error)[]) {
    const clock = { nowMs: 0 };
    let reads = 0;
    const token = cacheToken(
      () => {
        const outcome = outcomes[reads++] ?? 'last';
        return typeof outcome === 'string' ? Promise.resolve(outcome) : Promise.reject(outcome);
      },
      () => clock.nowMs,
    );
    return { token, clock, reads: () => reads };
  }

  test('that cannot be read the first time is an error, and is tried again', async () => {
    const { token } = create([new Error('no file'), 'one']);
    await expect(token()).rejects.toThrow('no file');
    expect(await token()).toBe('one');
  });

  test('stays when a later read fails', async () => {
    const { token, clock } = create(['one', new Error('no file'), 'two']);
    await token();
    clock.nowMs = 60_000;
    expect([await token(), await token()]).toEqual(['one', 'two']);
  });

  test('is read once for a minute, and by many callers at once', async () => {
    const { token, clock, reads } = create(['one', 'two']);
    expect(await Promise.all([token(), token(), token()])).toEqual(['one', 'one', 'one']);
    clock.nowMs = 59_999;
    expect([await token(), reads()]).toEqual(['one', 1]);
    clock.nowMs = 60_000;
    expect([await token(), reads()]).toEqual(['two', 2]);
  });

  test('is read at once after it was refused', async () => {
    const { token } = create(['one', 'two']);
    expect([await token(), await token(true)]).toEqual(['one', 'two']);
  });
});
