import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { HEALTH_PORT } from '../../src/api/istio.ts';

let count = 0;

/** A loopback address that no other test has: the health port is fixed, so that each server needs an address of its own. */
export function loopbackAddress(): string {
  count += 1;
  return `127.${1 + ((process.pid >> 8) % 254)}.${process.pid & 255}.${count}`;
}

/** A sidecar's health port: a real HTTP server on port 15021 of a loopback address. */
export class SidecarServer {
  readonly address = loopbackAddress();
  status = 200;
  /** Takes requests and does not answer them, like a stopped process. */
  hangs = false;
  /** Told of each request before it is answered. */
  onRequest: (response: ServerResponse) => void = () => undefined;
  requests = 0;
  connections = 0;
  #server: Server | undefined;

  async start(): Promise<void> {
    const server = createServer({ keepAliveTimeout: 0 }, (_request, response) => {
      this.requests += 1;
      this.onRequest(response);
      if (!this.hangs) response.writeHead(this.status).end('ready');
    });
    server.on('connection', () => (this.connections += 1));
    server.listen(HEALTH_PORT, this.address);
    await once(server, 'listening');
    this.#server = server;
  }

  /** As SIGKILL ends a process: listener and connections at once. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  /** Ends the connections and goes on. */
  dropConnections(): void {
    this.#server?.closeAllConnections();
  }
}
