import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Answers GET /healthz (200 while the process runs) and /readyz (200, or 503 with why not) for kubelet; rejects when it cannot listen. */
export async function startHealthServer(options: {
  readonly host: string;
  readonly port: number;
  /** Why the process is not ready; undefined when it is. */
  readonly notReady: () => string | undefined;
}): Promise<HealthServer> {
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000, keepAliveTimeout: 1000 }, (request, response) => {
    const path = request.url?.split('?', 1)[0];
    const answer = (status: number, text: string): void => void response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    if (path !== '/healthz' && path !== '/readyz') return answer(404, 'not found; there are /healthz and /readyz');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'only GET');
    const why = path === '/readyz' ? options.notReady() : undefined;
    return answer(why === undefined ? 200 : 503, why ?? 'ok');
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
