import { spawn } from 'node:child_process';
import { Server } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMAND_ENV } from './exec.ts';
import type { PodNetns } from './handle.ts';
import { inside } from './iptables.ts';

export interface ListenInsideOptions {
  readonly port: number;
  /** All IPv4 addresses when not given. */
  readonly host?: string;
  readonly nsenter?: string;
  readonly timeoutMs?: number;
}

// Beside this file, in the sources as in the build.
const CHILD = fileURLToPath(new URL(`./listen-child${extname(fileURLToPath(import.meta.url))}`, import.meta.url));

/**
 * A server of this process that listens on a port inside the pod's network namespace. A short-lived child enters the namespace, listens
 * and sends the socket over; it is gone when the promise settles. Rejects when the port is taken, the namespace is not the pod's, or after timeoutMs (5 s).
 */
export async function listenInside(netns: PodNetns, options: ListenInsideOptions): Promise<Server> {
  const { port, host = '0.0.0.0', nsenter = 'nsenter', timeoutMs = 5000 } = options;
  if (!(await netns.valid())) throw new Error('the network namespace is not that of the pod any more');
  const [command, ...args] = inside(nsenter, [process.execPath, CHILD, String(port), host], 4);
  const child = spawn(command, args, { env: COMMAND_ENV, stdio: ['ignore', 'ignore', 'pipe', 'ipc', netns.fd] });
  let server: Server | undefined;
  let problem: string | undefined;
  let stderr = '';
  const timer = setTimeout(() => {
    problem ??= `took longer than ${timeoutMs} ms`;
    child.kill('SIGKILL');
  }, timeoutMs);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-1024);
  });
  const code = await new Promise<number | null>((resolve) => {
    child.on('message', (message: unknown, handle: unknown) => {
      if (handle instanceof Server) {
        server = handle;
        child.disconnect();
        if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
      } else if (typeof message === 'object' && message !== null && 'error' in message) problem ??= String(message.error);
    });
    child.on('error', (error) => {
      problem ??= error.message;
      resolve(null);
    });
    // After our disconnect there is no 'close'; without the socket, 'close' comes once the last message was read.
    child.on('exit', (exitCode) => {
      if (server !== undefined) resolve(exitCode);
    });
    child.on('close', (exitCode) => resolve(exitCode));
  });
  clearTimeout(timer);
  if (server !== undefined && problem === undefined) return server;
  server?.close();
  throw new Error(`cannot listen on port ${port} inside the network namespace: ${problem ?? `the child ended with code ${code}: ${stderr.trim()}`}`);
}
