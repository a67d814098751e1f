import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueCertificates } from '../../../../src/adapters/tls/issue.ts';
import { openCertificateFiles } from '../../../../src/adapters/tls/source.ts';
import type { FileCertificateSource } from '../../../../src/adapters/tls/source.ts';
import { captureLog } from '../../../support/captured-log.ts';
import { eventually, sleep } from '../../../support/eventually.ts';

const first = issueCertificates({ hosts: ['localhost'], days: 1 });
const second = issueCertificates({ hosts: ['localhost'], days: 1, authority: first });

let dir: string;
let source: FileCertificateSource | undefined;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'certificate-source-'));
});
afterEach(async () => {
  source?.stop();
  source = undefined;
  await rm(dir, { recursive: true });
});

async function put(pair: { cert: string; key: string }, into = dir): Promise<void> {
  await writeFile(join(into, 'tls.crt'), pair.cert);
  await writeFile(join(into, 'tls.key'), pair.key);
}

async function open(periodMs = 60_000): Promise<{ seen: string[]; lines: readonly Record<string, unknown>[] }> {
  const { log, lines } = captureLog();
  source = await openCertificateFiles({ certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key'), log, periodMs });
  const seen: string[] = [];
  source.onChange((pair) => seen.push(pair.cert));
  return { seen, lines };
}

describe('openCertificateFiles', () => {
  test('rejects without files', async () => {
    await expect(open()).rejects.toThrow('ENOENT');
  });

  test('rejects a key of another certificate', async () => {
    await put({ cert: first.cert, key: second.key });
    await expect(open()).rejects.toThrow(/mismatch/);
  });

  test('takes files that are written anew', async () => {
    await put(first);
    const { seen } = await open();
    await put(second);
    await eventually('the second pair', () => source?.current().cert === second.cert);
    expect(seen).toEqual([second.cert]);
    expect(source?.current().key).toBe(second.key);
  });

  test('logs a broken pair once, keeps the old one, and takes the next good one', async () => {
    await put(first);
    const { seen, lines } = await open(20);
    await writeFile(join(dir, 'tls.key'), 'no key');
    await eventually('the refusal', () => lines.some((line) => line['level'] === 'error'));
    await sleep(300);
    expect(lines.filter((line) => line['level'] === 'error')).toHaveLength(1);
    expect(source?.current().cert).toBe(first.cert);
    await put(second);
    await eventually('the second pair', () => source?.current().cert === second.cert);
    expect(seen).toEqual([second.cert]);
  });

  test('follows the swap of a symbolic link, as kubelet does it for a Secret', async () => {
    for (const [name, pair] of [['v1', first] as const, ['v2', second] as const]) {
      await mkdir(join(dir, name));
      await put(pair, join(dir, name));
    }
    await symlink('v1', join(dir, '..data'));
    for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(dir, file));
    await open();
    await symlink('v2', join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    await eventually('the second pair', () => source?.current().cert === second.cert);
    expect(source?.current().key).toBe(second.key);
  });

  test('finds a change that nobody tells it, by looking periodically', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'certificate-target-'));
    await put(first, elsewhere);
    for (const file of ['tls.crt', 'tls.key']) await symlink(join(elsewhere, file), join(dir, file));
    await open(20);
    await put(second, elsewhere);
    await eventually('the second pair', () => source?.current().cert === second.cert);
    await rm(elsewhere, { recursive: true });
    expect(source?.current().cert).toBe(second.cert);
  });

  test('survives that the files go away', async () => {
    await put(first);
    const { lines } = await open(20);
    await rm(join(dir, 'tls.crt'));
    await eventually('the complaint', () => lines.some((line) => line['level'] === 'error'));
    await put(second);
    await eventually('the second pair', () => source?.current().cert === second.cert);
    expect(source?.current().key).toBe(second.key);
  });
});
