import { Agent, buildConnector } from 'undici';
import type { Connection } from './connection.ts';

/** Watches hold one connection each; all else shares the rest. */
const MAX_CONNECTIONS = 32;
const CONNECT_TIMEOUT_MS = 5_000;
/** Node then probes ten times, a second apart: a half-open connection is gone 20 s after its last byte. */
const TCP_KEEP_ALIVE_MS = 10_000;
/** Below the 90 s after which kube-apiserver closes an idle connection (k8s.io/apiserver pkg/server/secure_serving.go). */
const IDLE_MS = 60_000;

/** One pool of HTTP/1.1 connections. On HTTP/1.1 an abandoned request takes its connection with it, so a dead one is never used twice. */
export function createPool(connection: Connection): Agent {
  return new Agent({
    connections: MAX_CONNECTIONS,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: IDLE_MS,
    // Our own deadlines count, see transport.ts.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: createConnector(connection),
  });
}

function createConnector(connection: Connection): buildConnector.connector {
  let ca = connection.ca;
  let connect = build(connection, ca);
  return (options, callback) => {
    const current = connection.ca;
    if (current !== ca) {
      ca = current;
      connect = build(connection, ca);
    }
    connect(options, callback);
  };
}

function build(connection: Connection, ca: string | undefined): buildConnector.connector {
  return buildConnector({
    allowH2: false,
    timeout: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
    ...(ca !== undefined && { ca }),
    ...(connection.clientCert !== undefined && { cert: connection.clientCert }),
    ...(connection.clientKey !== undefined && { key: connection.clientKey }),
    ...(connection.serverName !== undefined && { servername: connection.serverName }),
    ...(connection.skipTlsVerify === true && { rejectUnauthorized: false }),
  });
}
