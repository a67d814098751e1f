import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import { STATUS_PORT } from '../api/istio.ts';
import type { AppProbe, AppProbes } from '../core/app-probes.ts';
import type { Logger } from '../runtime/logger.ts';
import { probeApp, type ProbeAnswer } from './app-probe.ts';

export interface ProbeResponderOptions {
  /** Listens already, e.g. inside the pod's network namespace; the responder owns it from now on. */
  readonly server: Server;
  readonly podIP: string;
  readonly probers: AppProbes;
  readonly log: Logger;
}

export interface ProbeResponder {
  /** Ends the listener and every connection. */
  stop(): Promise<void>;
  /** Requests answered so far. */
  readonly served: number;
}

/** Anything in the pod's network can connect: it must not be able to starve the agent. */
const MAX_CONNECTIONS = 128;
/** For a probe without a timeout of its own (lifecycle hooks); pilot-agent waits without end. */
const LONGEST_MS = 600_000;

/**
 * Answers the app's rewritten probes in place of pilot-agent's status server (istio/istio, pilot/cmd/pilot-agent/status/server.go).
 * Unlike pilot-agent, it dials from the agent's own network namespace, like kubelet: the app sees the node's address instead of 127.0.0.6.
 */
export function createProbeResponder(options: ProbeResponderOptions): ProbeResponder {
  const { podIP, probers, log } = options;
  const stopping = new AbortController();
  let served = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { status, body } = await answerTo(request, response);
    if (response.destroyed || response.headersSent) return;
    served += 1;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length }).end(body);
  };
  const answerTo = async (request: IncomingMessage, response: ServerResponse): Promise<ProbeAnswer> => {
    const path = pathOf(request);
    const probe = probers.get(path);
    if (probe === undefined) return unknownPath(path);
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const signal = AbortSignal.any([AbortSignal.timeout(probe.timeoutMs || LONGEST_MS), gone.signal, stopping.signal]);
    try {
      const answered = await probeApp(probe, podIP, { host: hostFor(request, probe), rawHeaders: request.rawHeaders }, signal);
      return isStatus(answered.status) ? answered : failed;
    } catch (error) {
      log.debug('the probe of the application failed', { path, error });
      return failed;
    }
  };

  const http = createServer({ headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, connectionsCheckingInterval: 1000 });
  http.on('request', (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error('the probe could not be answered', { error });
      response.destroy();
    });
  });
  http.on('error', (error) => log.error('the probe responder has an error', { error }));
  http.maxConnections = MAX_CONNECTIONS;
  // Taking over the socket, instead of passing on connections, keeps Node's limits of time and number in force.
  http.listen(options.server);
  return {
    get served() {
      return served;
    },
    async stop() {
      stopping.abort();
      const closed = new Promise((resolve) => {
        http.close(resolve);
      });
      http.closeAllConnections();
      options.server.close();
      await closed;
    },
  };
}

const failed: ProbeAnswer = { status: 500, body: Buffer.alloc(0) };

/** pilot-agent serves two folders, with 400 for what is not in its map; the rest of its mux is 404 here. */
function unknownPath(path: string): ProbeAnswer {
  const below = path.startsWith('/app-health/') || path.startsWith('/app-lifecycle/');
  const text = below ? `app prober config does not exists for ${path}` : '404 page not found\n';
  return { status: below ? 400 : 404, body: Buffer.from(text) };
}

function pathOf(request: IncomingMessage): string {
  const [path = ''] = (request.url ?? '').split('?');
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The Host to send: the status port, which kubelet was told to call, becomes the port of the application. */
function hostFor(request: IncomingMessage, probe: AppProbe): string {
  const host = request.headers.host ?? '';
  const suffix = `:${STATUS_PORT}`;
  return host.endsWith(suffix) ? `${host.slice(0, -suffix.length)}:${probe.port}` : host;
}

function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 999;
}
