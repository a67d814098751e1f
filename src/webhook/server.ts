import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../runtime/logger.ts';
import type { CertificateSource, KeyPair } from './ports.ts';

/** Above the 90 s for which kube-apiserver keeps idle connections (net/http's default): the server must never be the first to close. */
const KEEP_ALIVE_MS = 125_000;
/** Counted from the connection on: the API server opens connections in reserve and may leave one unused as long as an idle one. */
const HEADERS_TIMEOUT_MS = 130_000;
const REQUEST_TIMEOUT_MS = 135_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 2048;
const DRAIN_BOUND_MS = 10_000;
const DRAIN_STEP_MS = 50;

export interface WebhookServerOptions {
  readonly app: RequestListener;
  readonly certificates: CertificateSource;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Logger;
  /** After the request to stop, how long new connections are still taken: until no Service sends any. */
  readonly drainDelayMs?: number;
}

export interface WebhookServer {
  readonly address: AddressInfo;
  readonly draining: boolean;
  /** Finishes what runs and closes, within the delay and 10 s more; a second call waits for the first. */
  stop(): Promise<void>;
}

/** Listens with TLS, takes every new certificate without a restart, and drains when stopped. Rejects when it cannot listen. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { app, certificates, log } = options;
  let draining = false;
  const open = new Set<ServerResponse>();
  let stopped: Promise<void> | undefined;
  const server = createServer({ ...tlsOptions(certificates.current()), handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, (request, response) => {
    open.add(response);
    response.once('close', () => open.delete(response));
    if (draining) response.setHeader('connection', 'close');
    app(request, response);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', (error) => log.debug('TLS handshake failed', { error }));
  certificates.onChange((pair) => server.setSecureContext(tlsOptions(pair)));
  await listen(server, options);

  return {
    address: server.address() as AddressInfo,
    get draining() {
      return draining;
    },
    stop() {
      stopped ??= drain();
      return stopped;
    },
  };

  async function drain(): Promise<void> {
    draining = true;
    await sleep(options.drainDelayMs ?? 0);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const endMs = performance.now() + DRAIN_BOUND_MS;
    do await sleep(DRAIN_STEP_MS);
    while (open.size > 0 && performance.now() < endMs);
    if (open.size > 0) log.warn('requests were still open at the end of the drain', { open: open.size, boundMs: DRAIN_BOUND_MS });
    // What is left are connections in reserve, which never carried a request: they do not count as idle.
    server.closeAllConnections();
    await closed;
  }
}

function tlsOptions(pair: KeyPair): { cert: string; key: string; minVersion: 'TLSv1.2' } {
  return { cert: pair.cert, key: pair.key, minVersion: 'TLSv1.2' };
}

function listen(server: Server, { host, port }: WebhookServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}
