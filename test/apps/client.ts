/**
 * The load client: asks each target RATE times a second and writes down every answer. It runs in a meshed pod, and as a plain process in a network namespace.
 * One self-contained file: its container image is the node binary and this file.
 *
 * Settings, each from the environment or as an argument NAME=value (which wins):
 * TARGETS comma-separated name=url; RATE requests per second and target (50); TIMEOUT_MS for a whole answer (1000); KEEPALIVE=1 for pooled connections (otherwise each
 * request opens its own, which is what a Service balances); MAX_IN_FLIGHT per target (the larger of 200 and twice what RATE and TIMEOUT_MS can keep open);
 * RESULTS_PORT (9000; 0 takes a free one) and RESULTS_HOST (all addresses).
 *
 * The loop is open: request k is due at start + k/RATE whatever became of the earlier ones, so slow answers hide nothing. Above MAX_IN_FLIGHT a request fails as 'overrun'.
 *
 * One result is one line on stdout: {"n":target,"t":epoch ms at which the request was sent,"d":ms until the whole answer or the failure,"s":status or 0,"e":code if s is 0}.
 * GET /results?since=N on RESULTS_PORT serves the lines from number N on (at most 50,000 at once, of the last 200,000), with the headers x-run (differs after a restart),
 * x-next (the N to ask for next) and x-missed (asked for, but forgotten). stdout must be read: a full pipe stops a Node process.
 */
import { randomUUID } from 'node:crypto';
import { Agent, createServer, request } from 'node:http';
import type { ServerResponse } from 'node:http';

const FLUSH_EVERY_MS = 25;
const KEPT_RESULTS = 200_000;
const RESULTS_AT_ONCE = 50_000;
/** A client that was held up for longer (suspended machine) was no witness: it skips what was due instead of reporting failures of its own making. */
const MAX_LATE_MS = 5_000;

interface Target {
  readonly name: string;
  readonly url: URL;
  readonly startMs: number;
  due: number;
  inFlight: number;
  lastStartMs: number;
}

const settings: Readonly<Record<string, string | undefined>> = { ...process.env, ...Object.fromEntries(process.argv.slice(2).map(splitOnce)) };
const rate = positive('RATE', 50);
const periodMs = 1000 / rate;
const timeoutMs = positive('TIMEOUT_MS', 1000);
const maxInFlight = positive('MAX_IN_FLIGHT', Math.max(200, Math.ceil((2 * rate * timeoutMs) / 1000)));
const agent = new Agent({ keepAlive: settings['KEEPALIVE'] === '1' });
const targets = parseTargets(settings['TARGETS'] ?? '');

const run = randomUUID();
const kept: string[] = [];
let recorded = 0;
let skipped = 0;
let maxLateMs = 0;
let unwritten: string[] = [];
let stopping = false;

process.stdout.on('error', () => process.exit(0)); // nobody reads any more
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
serveResults();
const flushing = setInterval(flush, FLUSH_EVERY_MS);
for (const target of targets) sendDue(target);

function sendDue(target: Target): void {
  if (stopping) return;
  const nowMs = performance.now();
  const lateMs = nowMs - (target.startMs + target.due * periodMs);
  if (lateMs > MAX_LATE_MS) {
    skipped += Math.floor(lateMs / periodMs);
    target.due += Math.floor(lateMs / periodMs);
  } else {
    maxLateMs = Math.max(maxLateMs, lateMs);
  }
  for (; target.startMs + target.due * periodMs <= nowMs; target.due += 1) send(target);
  setTimeout(sendDue, Math.max(0, target.startMs + target.due * periodMs - performance.now()), target);
}

function send(target: Target): void {
  const startMs = Math.max(performance.now(), target.lastStartMs + 0.001); // name and start identify a result
  target.lastStartMs = startMs;
  if (target.inFlight >= maxInFlight) return record(target, startMs, 0, 'overrun');
  target.inFlight += 1;
  let open = true;
  const finish = (status: number, code?: string): void => {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    target.inFlight -= 1;
    record(target, startMs, status, code);
    if (stopping) exitWhenDone();
  };
  const outgoing = request(target.url, { agent }, (response) => {
    response.on('end', () => finish(response.complete ? (response.statusCode ?? 0) : 0, response.complete ? undefined : 'truncated'));
    response.on('error', (error) => finish(0, codeOf(error)));
    response.on('close', () => finish(0, 'truncated'));
    response.resume();
  });
  const timer = setTimeout(() => {
    finish(0, 'timeout');
    outgoing.destroy();
  }, timeoutMs);
  outgoing.on('error', (error) => finish(0, codeOf(error)));
  outgoing.end();
}

function record(target: Target, startMs: number, status: number, code?: string): void {
  const line = JSON.stringify({
    n: target.name,
    t: round(performance.timeOrigin + startMs),
    d: round(Math.max(0, performance.now() - startMs)),
    s: status,
    e: code,
  });
  kept[recorded % KEPT_RESULTS] = line;
  recorded += 1;
  unwritten.push(line);
}

function flush(): void {
  if (unwritten.length === 0) return;
  process.stdout.write(`${unwritten.join('\n')}\n`);
  unwritten = [];
}

function serveResults(): void {
  const port = Number(settings['RESULTS_PORT'] ?? 9000);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) refuse('RESULTS_PORT is a port number');
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://client');
    if (request.method !== 'GET') return answer(response, 405, 'GET only\n');
    if (url.pathname === '/healthz') return answer(response, 200, `${JSON.stringify(health())}\n`);
    if (url.pathname === '/results') return answerResults(response, Number(url.searchParams.get('since') ?? 0));
    return answer(response, 404, 'no such page\n');
  });
  server.on('error', (error) => refuse(`the client cannot listen on RESULTS_PORT ${port}: ${error.message}`));
  server.listen({ port, host: settings['RESULTS_HOST'] }, () => {
    const address = server.address();
    process.stderr.write(
      `${JSON.stringify({ message: 'load client runs', resultsPort: typeof address === 'object' ? address?.port : port, rate, timeoutMs })}\n`,
    );
  });
}

function answerResults(response: ServerResponse, since: number): void {
  if (!Number.isInteger(since) || since < 0) return answer(response, 400, 'since is a whole number\n');
  const first = Math.max(since, recorded - KEPT_RESULTS);
  const next = Math.max(first, Math.min(recorded, first + RESULTS_AT_ONCE));
  const lines = Array.from({ length: next - first }, (_, index) => `${kept[(first + index) % KEPT_RESULTS]}\n`);
  response.setHeader('x-run', run);
  response.setHeader('x-next', next);
  response.setHeader('x-missed', first - since);
  answer(response, 200, lines.join(''));
}

function health(): Readonly<Record<string, unknown>> {
  return { run, recorded, skipped, maxLateMs: round(maxLateMs), inFlight: targets.reduce((sum, target) => sum + target.inFlight, 0) };
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'text/plain' });
  response.end(body);
}

/** Sends nothing more; what is in flight still counts, and TIMEOUT_MS bounds the wait. */
function stop(): void {
  if (stopping) process.exit(0);
  stopping = true;
  exitWhenDone();
}

function exitWhenDone(): void {
  if (targets.some((target) => target.inFlight > 0)) return;
  clearInterval(flushing);
  flush();
  process.stdout.write('', () => process.exit(0));
}

function parseTargets(text: string): Target[] {
  const startMs = performance.now();
  const parsed = text
    .split(',')
    .filter((entry) => entry !== '')
    .map((entry): Target => {
      const [name, address] = splitOnce(entry);
      const url = URL.parse(address);
      if (name === '' || url?.protocol !== 'http:') refuse(`TARGETS is name=http://address/path, comma-separated, not '${entry}'`);
      return { name, url, startMs, due: 0, inFlight: 0, lastStartMs: 0 };
    });
  if (parsed.length === 0) refuse('TARGETS is missing: name=url, comma-separated');
  return parsed;
}

function positive(name: string, fallback: number): number {
  const value = Number(settings[name] ?? fallback);
  if (!Number.isFinite(value) || value <= 0) refuse(`${name} is a number above 0, not '${settings[name]}'`);
  return value;
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function refuse(sentence: string): never {
  process.stderr.write(`${sentence}\n`);
  process.exit(2);
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.name;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
