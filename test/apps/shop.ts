/**
 * The shop: the application behind the Service in the demo, the benchmarks and the end-to-end tests.
 * One self-contained file: its container image is the node binary and this file.
 *
 * Environment: PORT (default 8080), APP (default 'shop'), POD (default the host name, which is the pod's name).
 * GET / answers who it is; GET /healthz answers 200, or 503 after POST /control/unready until POST /control/ready; GET /slow?ms=N answers after N ms (at most a minute).
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';

const MAX_SLOW_MS = 60_000;
const STOP_WITHIN_MS = 800;
/** Longer than Envoy keeps an idle upstream connection (1 h): the shop never closes one that a sidecar is about to use, so every lost request has another cause. */
const KEEP_ALIVE_MS = 3_700_000;

const app = process.env['APP'] ?? 'shop';
const pod = process.env['POD'] ?? hostname();
const port = Number(process.env['PORT'] ?? 8080);

let served = 0;
let ready = true;
let stopping = false;

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://shop');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /':
      return answerShop(request, response);
    case 'GET /healthz':
      return ready ? answer(response, 200, { ready }) : answer(response, 503, { ready });
    case 'GET /slow':
      return answerSlowly(request, response, Number(url.searchParams.get('ms') ?? 1000));
    case 'POST /control/unready':
    case 'POST /control/ready':
      ready = url.pathname.endsWith('/ready');
      return answer(response, 200, { ready });
    default:
      return answer(response, 404, { error: 'no such page' });
  }
});
server.keepAliveTimeout = KEEP_ALIVE_MS;
server.on('error', (error) => {
  process.stderr.write(`the shop cannot listen on port ${port}: ${error.message}\n`);
  process.exit(1);
});
server.listen(port, () => {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ message: 'shop is open', app, pod, port: typeof address === 'object' ? address?.port : port })}\n`);
});

process.on('SIGTERM', stop);
process.on('SIGINT', stop);

function answerShop(request: IncomingMessage, response: ServerResponse): void {
  served += 1;
  answer(response, 200, { app, pod, served, peer: request.socket.remoteAddress ?? '' });
}

function answerSlowly(request: IncomingMessage, response: ServerResponse, ms: number): void {
  if (!Number.isFinite(ms) || ms < 0) return answer(response, 400, { error: 'ms is a number of milliseconds' });
  const timer = setTimeout(() => answerShop(request, response), Math.min(ms, MAX_SLOW_MS));
  response.on('close', () => clearTimeout(timer));
}

function answer(response: ServerResponse, status: number, body: Readonly<Record<string, unknown>>): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...(stopping ? { connection: 'close' } : {}),
  });
  response.end(text);
}

/** Listens no more at once; running requests have a moment to end. As PID 1 of a container the process must exit by itself. */
function stop(): void {
  if (stopping) process.exit(0);
  stopping = true;
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), STOP_WITHIN_MS).unref();
}
