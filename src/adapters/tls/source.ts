import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Logger } from '../../runtime/logger.ts';
import type { CertificateSource, KeyPair } from '../../webhook/ports.ts';

export interface FileSourceOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly log: Logger;
  /** How often the files are read without being told: a mounted Secret swaps a symbolic link, and notices can get lost. */
  readonly periodMs?: number;
}

export interface FileCertificateSource extends CertificateSource {
  stop(): void;
}

/** The two files are written one after the other; this is time for the second. */
const SETTLE_MS = 100;
const PERIOD_MS = 30_000;

/** Reads the pair and follows its files. Rejects when the first pair cannot be read or does not fit; a later one like that is logged, and the old one stays. */
export async function openCertificateFiles({ certFile, keyFile, log, periodMs = PERIOD_MS }: FileSourceOptions): Promise<FileCertificateSource> {
  let pair = await readPair();
  checkPair(pair);
  let refused: KeyPair | undefined;
  const listeners: ((pair: KeyPair) => void)[] = [];
  let settling: NodeJS.Timeout | undefined;
  const watchers = [...new Set([dirname(certFile), dirname(keyFile)])].flatMap((folder) => watchFolder(folder, soon, log));
  const timer = setInterval(soon, periodMs);
  timer.unref();

  return {
    current: () => pair,
    onChange: (listener) => {
      listeners.push(listener);
    },
    stop() {
      clearInterval(timer);
      clearTimeout(settling);
      for (const watcher of watchers) watcher.close();
    },
  };

  function soon(): void {
    settling ??= setTimeout(() => {
      settling = undefined;
      void refresh();
    }, SETTLE_MS).unref();
  }

  async function refresh(): Promise<void> {
    let next: KeyPair | undefined;
    try {
      next = await readPair();
      if (isSame(next, pair) || (refused !== undefined && isSame(next, refused))) return;
      checkPair(next);
      pair = next;
      refused = undefined;
      for (const listener of listeners) listener(next);
      log.info('took a new certificate', { certFile });
    } catch (error) {
      refused = next;
      log.error('the new certificate cannot be used; the old one stays', { certFile, keyFile, error });
    }
  }

  async function readPair(): Promise<KeyPair> {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
    return { cert, key };
  }
}

/** Throws when the texts are no PEM, or the key belongs to another certificate. */
function checkPair({ cert, key }: KeyPair): void {
  createSecureContext({ cert, key });
}

function isSame(left: KeyPair, right: KeyPair): boolean {
  return left.cert === right.cert && left.key === right.key;
}

function watchFolder(folder: string, changed: () => void, log: Logger): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, changed);
    watcher.on('error', (error) => log.warn('cannot watch for new certificates; looking periodically', { folder, error }));
    return [watcher];
  } catch (error) {
    log.warn('cannot watch for new certificates; looking periodically', { folder, error });
    return [];
  }
}
