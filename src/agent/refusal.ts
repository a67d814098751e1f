import { connect } from 'node:net';

/** A connection that is not answered at all is given up after this time; ms. */
const CONNECT_MS = 50;
const PAUSE_MS = 2;

/**
 * Resolves to true as soon as a TCP connection to the port is refused, to false when none was before `untilMs` (performance.now()) or `signal` aborts.
 * A hint and no proof, since a firewall can refuse too: it costs a fraction of a millisecond, so that whoever reads the sockets, which costs many, does it once and in time.
 */
export async function whenRefused(host: string, port: number, untilMs: number, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted && performance.now() < untilMs) {
    if (await isRefused(host, port)) return !signal.aborted;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}

function isRefused(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (refused: boolean): void => {
      socket.destroy();
      resolve(refused);
    };
    socket.setTimeout(CONNECT_MS, () => settle(false));
    socket.on('connect', () => settle(false));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code === 'ECONNREFUSED'));
  });
}
