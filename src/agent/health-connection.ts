import { Client } from 'undici';
import { HEALTH_PATH, HEALTH_PORT } from '../api/istio.ts';
import type { ProbeResult } from '../core/observation.ts';
import { errorMessage } from '../runtime/error-message.ts';

/** A held keep-alive connection to a sidecar's health port: it probes, and its end is the first sign of a death. */
export interface HealthConnection {
  probe(timeoutMs: number): Promise<ProbeResult>;
  close(): Promise<void>;
}

/** Envoy tells no keep-alive time; the connection is to stay until one side ends it. */
const KEPT_MS = 24 * 3_600_000;
/** undici's code for an end that it made itself: after a probe that took too long, or an answer with `connection: close`. */
const OWN_END = 'UND_ERR_INFO';

/** `onEnd` is called whenever the sidecar's side has ended an established connection, as soon as that is seen. */
export function createHealthConnection(podIP: string, onEnd: () => void): HealthConnection {
  const host = podIP.includes(':') ? `[${podIP}]` : podIP;
  const client = new Client(`http://${host}:${HEALTH_PORT}`, {
    keepAliveTimeout: KEPT_MS,
    keepAliveMaxTimeout: KEPT_MS,
    pipelining: 1,
    connect: { timeout: 5000 },
  });
  let closed = false;
  client.on('disconnect', (_origin, _targets, error: NodeJS.ErrnoException) => {
    if (!closed && error.code !== OWN_END) onEnd();
  });
  return {
    async probe(timeoutMs) {
      try {
        const { statusCode, body } = await client.request({ path: HEALTH_PATH, method: 'GET', signal: AbortSignal.timeout(timeoutMs) });
        await body.dump();
        return statusCode === 200 ? { kind: 'ok' } : { kind: 'failed', why: `answered ${statusCode}` };
      } catch (error) {
        return { kind: 'failed', why: reasonOf(error, timeoutMs) };
      }
    },
    async close() {
      closed = true;
      await client.destroy();
    },
  };
}

function reasonOf(error: unknown, timeoutMs: number): string {
  const { name, code } = error as Partial<NodeJS.ErrnoException>;
  if (name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  return typeof code === 'string' ? code : errorMessage(error).slice(0, 120);
}
