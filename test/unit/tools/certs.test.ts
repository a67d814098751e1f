import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOOL = fileURLToPath(new URL('../../../src/tools/certs.ts', import.meta.url));
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'certs-tool-'));
});
afterEach(() => rm(dir, { recursive: true }));

function certs(...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [TOOL, '--dir', dir, ...argv], { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const read = (file: string): Promise<string> => readFile(join(dir, file), 'utf8');

test('writes the four files, keys for the owner only, and keeps them while they are good', async () => {
  expect(await certs('--host', 'localhost,127.0.0.1')).toMatchObject({ status: 0, stderr: '' });
  expect((await readdir(dir)).sort()).toEqual(['ca.crt', 'ca.key', 'tls.crt', 'tls.key']);
  for (const key of ['ca.key', 'tls.key']) expect((await stat(join(dir, key))).mode & 0o777).toBe(0o600);
  const [ca, cert] = [await read('ca.crt'), await read('tls.crt')];

  expect((await certs('--host', '127.0.0.1')).stdout).toMatch(/^kept the certificate/);
  expect(await read('tls.crt')).toBe(cert);

  const replaced = await certs('--host', 'localhost,10.0.0.1');
  expect(replaced.stdout).toMatch(/^replaced the certificate in .*, since it is not for 10\.0\.0\.1; .*the CA is the same\n$/);
  expect(await read('ca.crt')).toBe(ca);
  expect(await read('tls.crt')).not.toBe(cert);

  expect((await certs('--host', 'localhost', '--force')).stdout).toMatch(/^wrote a new CA/);
  expect(await read('ca.crt')).not.toBe(ca);
}, 30_000);

test('does not complete a part of the files, and says what to do', async () => {
  await writeFile(join(dir, 'ca.key'), 'precious');
  const { status, stderr } = await certs();
  expect(status).toBe(1);
  expect(stderr).toContain('restore the others, or replace all with --force');
  expect(await read('ca.key')).toBe('precious');
});

test('refuses a host that is none, and writes nothing', async () => {
  expect(await certs('--host', 'not a host')).toEqual({ status: 1, stdout: '', stderr: 'certs: neither a DNS name nor an IP address: "not a host"\n' });
  expect(await readdir(dir)).toEqual([]);
});

test('refuses a bad flag with status 2', async () => {
  expect(await certs('--days', '0')).toMatchObject({
    status: 2,
    stderr: 'certs: --days must be a whole number from 1 to 825, not "0" (see npm run certs -- --help)\n',
  });
});
