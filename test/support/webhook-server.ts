import { Agent, request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { issueCertificates } from '../../src/adapters/tls/issue.ts';
import type { EndpointFacts } from '../../src/core/endpoint-facts.ts';
import type { JsonPatchOperation } from '../../src/core/json-patch.ts';
import { createWebhookApp, WEBHOOK_LIMITS } from '../../src/webhook/app.ts';
import type { WebhookLimits } from '../../src/webhook/app.ts';
import type { CertificateSource, KeyPair, WebhookDeps } from '../../src/webhook/ports.ts';
import { startWebhookServer } from '../../src/webhook/server.ts';
import type { WebhookServer } from '../../src/webhook/server.ts';
import { captureLog } from './captured-log.ts';
import type { CapturedLog } from './captured-log.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

export interface WebhookUnderTest {
  readonly server: WebhookServer;
  readonly captured: CapturedLog;
  /** A client that trusts the server's CA and keeps one pool of connections. */
  readonly agent: Agent;
  /** Gives the server another pair, as a file source would. */
  replace(pair: KeyPair): void;
  send(path: string, body?: string | Buffer, options?: RequestOptions): Promise<Reply>;
  /** Posts an object for admission and gives `response` with its patch decoded. */
  review(path: string, request: Record<string, unknown>): Promise<Record<string, unknown> & { patch?: JsonPatchOperation[] }>;
  stop(): Promise<void>;
}

export const CERTIFICATES = issueCertificates({ hosts: ['localhost', '127.0.0.1'], days: 1 });

/** Facts of a cluster of which nothing is known. */
export const NO_FACTS: EndpointFacts = {
  synced: false,
  pod: () => undefined,
  gone: () => false,
  node: () => undefined,
  lease: () => undefined,
  publishesNotReady: () => undefined,
};

/** The real webhook on a real port of loopback. */
export async function startWebhook(deps: Partial<WebhookDeps> = {}, limits: Partial<WebhookLimits> = {}, drainDelayMs = 0): Promise<WebhookUnderTest> {
  const captured = captureLog();
  const listeners: ((pair: KeyPair) => void)[] = [];
  const certificates: CertificateSource = { current: () => CERTIFICATES, onChange: (listener) => void listeners.push(listener) };
  const app = createWebhookApp(
    { namespaceAnnotations: () => undefined, endpointFacts: () => NO_FACTS, notReady: () => undefined, nowMs: () => Date.now(), log: captured.log, ...deps },
    { ...WEBHOOK_LIMITS, ...limits },
  );
  const server = await startWebhookServer({ app, certificates, host: '127.0.0.1', port: 0, log: captured.log, drainDelayMs });
  const agent = new Agent({ keepAlive: true, ca: CERTIFICATES.ca });
  const send = (path: string, body?: string | Buffer, options: RequestOptions = {}): Promise<Reply> =>
    exchange({ port: server.address.port, agent, path, ...options }, body);
  return {
    server,
    captured,
    agent,
    replace: (pair) => listeners.forEach((listener) => listener(pair)),
    send,
    async review(path, request) {
      const { status, body } = await send(path, reviewOf(request));
      if (status !== 200) throw new Error(`HTTP ${status}: ${JSON.stringify(body)}`);
      const response = body['response'] as Record<string, unknown>;
      const patch = response['patch'] as string | undefined;
      return patch === undefined ? response : { ...response, patch: JSON.parse(Buffer.from(patch, 'base64').toString()) as JsonPatchOperation[] };
    },
    async stop() {
      agent.destroy();
      await server.stop();
    },
  };
}

/** An AdmissionReview as the API server writes it, as JSON. */
export function reviewOf(request: Record<string, unknown>): string {
  return JSON.stringify({
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: { uid: 'review-1', operation: 'CREATE', namespace: 'demo', userInfo: { username: 'someone', groups: ['all'] }, ...request },
  });
}

function exchange(options: RequestOptions, body: string | Buffer | undefined): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = httpsRequest({
      host: '127.0.0.1',
      method,
      ...options,
      headers: { ...headers, ...(options.headers as Record<string, string> | undefined) },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) });
      });
    });
    request.end(body);
  });
}
