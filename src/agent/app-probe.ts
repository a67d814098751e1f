import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { AppProbe } from '../core/app-probes.ts';
import { healthCheckRequest, isServing } from '../core/grpc-health.ts';

/** What pilot-agent would answer. */
export interface ProbeAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** What is forwarded of the request that is answered. */
export interface ProbeRequest {
  readonly host: string;
  /** Name and value in turn, as received. */
  readonly rawHeaders: readonly string[];
}

/** Of a response, as in istio/istio, pilot/cmd/pilot-agent/status/server.go (maxRespBodyLength). */
const MAX_BODY_BYTES = 10 * 1024;
const MAX_REQUESTS = 10;
/** Headers that belong to one connection, and those of a body that is not forwarded. */
const NOT_FORWARDED: ReadonlySet<string> = new Set(
  'host connection keep-alive proxy-connection te trailer upgrade content-length transfer-encoding expect'.split(' '),
);

/** Probes the application at the pod's address as pilot-agent does; rejects when it cannot be reached or not before the signal. */
export async function probeApp(probe: AppProbe, podIP: string, request: ProbeRequest, signal: AbortSignal): Promise<ProbeAnswer> {
  signal.throwIfAborted();
  if (probe.kind === 'http') return probeHttp(probe, podIP, request, signal);
  const good = probe.kind === 'tcp' ? await probeTcp(probe.port, podIP, signal) : await probeGrpc(probe, podIP, request, signal);
  return { status: good ? 200 : 500, body: Buffer.alloc(0) };
}

interface Target {
  readonly secure: boolean;
  readonly port: number;
  readonly path: string;
  readonly host: string;
}

async function probeHttp(probe: AppProbe & { kind: 'http' }, podIP: string, request: ProbeRequest, signal: AbortSignal): Promise<ProbeAnswer> {
  const headers = forwarded(request.rawHeaders);
  let target: Target = { secure: probe.secure, port: probe.port, path: requestPath(probe.path), host: request.host };
  for (let count = 1; ; count += 1) {
    const response = await get(target, podIP, headers, signal);
    const status = response.statusCode ?? 500;
    const { location } = response.headers;
    if (!isRedirect(status)) return { status, body: await head(response) };
    response.destroy();
    // Kubelet and pilot-agent follow a redirect to the same host only; anything else that redirects is alive.
    const next = FOLLOWED.has(status) && location !== undefined ? redirected(target, podIP, location) : undefined;
    if (next === undefined) return { status: 200, body: Buffer.alloc(0) };
    if (count >= MAX_REQUESTS) throw new Error(`stopped after ${MAX_REQUESTS} redirects`);
    target = { ...next, host: next.host ?? request.host };
  }
}

const FOLLOWED: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

/** Where a redirect leads, with the Host to send when the location names one; undefined when to another host. */
function redirected(from: Target, podIP: string, location: string): (Omit<Target, 'host'> & { readonly host?: string }) | undefined {
  const base = new URL(`${from.secure ? 'https' : 'http'}://${inUrl(podIP)}:${from.port}${from.path}`);
  const to = new URL(location, base);
  if (to.hostname !== base.hostname) return undefined;
  if (to.protocol !== 'http:' && to.protocol !== 'https:') throw new Error('a redirect leads to an unsupported protocol');
  const secure = to.protocol === 'https:';
  const next = { secure, port: Number(to.port) || (secure ? 443 : 80), path: `${to.pathname}${to.search}` };
  return /^[a-z][a-z0-9+.-]*:/i.test(location) ? { ...next, host: to.host } : next;
}

async function get(target: Target, podIP: string, headers: Readonly<Record<string, string[]>>, signal: AbortSignal): Promise<IncomingMessage> {
  const options = {
    host: podIP,
    port: target.port,
    path: target.path,
    headers: { ...headers, host: target.host, connection: 'close' },
    setHost: false,
    agent: false,
    maxHeaderSize: 1024 * 1024,
    signal,
  } as const;
  // Kubelet and pilot-agent verify no certificate either: this is a health check of a local process. No SNI, as for any address.
  const request = target.secure ? httpsRequest({ ...options, rejectUnauthorized: false, servername: '' }) : httpRequest(options);
  const response = once(request, 'response') as Promise<[IncomingMessage]>;
  request.on('error', () => undefined);
  request.end();
  return (await response)[0];
}

/** The first bytes of a body; what a broken or slow body gave until then counts, as for pilot-agent. */
async function head(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= MAX_BODY_BYTES) break;
    }
  } catch {
    // The status is the answer.
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES);
}

async function probeTcp(port: number, podIP: string, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ host: podIP, port });
  socket.on('error', () => undefined);
  try {
    await once(socket, 'connect', { signal });
    return true;
  } finally {
    socket.destroy();
  }
}

async function probeGrpc(probe: AppProbe & { kind: 'grpc' }, podIP: string, request: ProbeRequest, signal: AbortSignal): Promise<boolean> {
  const session = http2Connect(`http://${inUrl(podIP)}:${probe.port}`);
  const abort = (): void => session.destroy(new Error('the probe took too long'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      session.on('error', reject);
      session.on('close', () => reject(new Error('the connection closed')));
      const agent = forwarded(request.rawHeaders)['user-agent']?.[0];
      const stream = session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(agent === undefined ? {} : { 'user-agent': agent }),
      });
      let status: unknown;
      let answer = Buffer.alloc(0);
      stream.on('error', reject);
      stream.on('response', (headers) => {
        status = headers['grpc-status'];
      });
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      stream.on('data', (chunk: Buffer) => {
        answer = Buffer.concat([answer, chunk]);
        if (answer.length > MAX_BODY_BYTES) session.destroy();
      });
      stream.on('end', () => resolve(status === '0' && isServing(answer)));
      stream.end(healthCheckRequest(probe.service));
    });
  } finally {
    signal.removeEventListener('abort', abort);
    session.destroy();
  }
}

function forwarded(rawHeaders: readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (!NOT_FORWARDED.has(name)) (headers[name] ??= []).push(rawHeaders[at + 1] ?? '');
  }
  return headers;
}

/** The path as a request line can carry it: what it may not hold is percent-encoded, the fragment dropped. */
function requestPath(path: string): string {
  const [before = ''] = path.split('#');
  const absolute = before.startsWith('/') ? before : `/${before}`;
  return absolute.replaceAll(/[^\x21-\x7e]/gu, (character) => Buffer.from(character).toString('hex').toUpperCase().replaceAll(/../g, '%$&'));
}

function inUrl(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip;
}
