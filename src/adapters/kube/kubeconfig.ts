import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { errorMessage } from '../../runtime/error-message.ts';
import type { Connection } from './connection.ts';
import { cacheToken } from './token-cache.ts';

/** The connection of a kubeconfig: the given file, else what kubectl would read. client-node reads it and runs its exec plugins. */
export async function connectionOfKubeconfig(file: string | undefined, context: string | undefined): Promise<Connection> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  load(config, file);
  choose(config, context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`The kubeconfig's context ${JSON.stringify(config.getCurrentContext())} names a cluster that it does not contain.`);
  const options = await credentials(config);
  if (options.auth !== undefined && options.auth !== null) throw new Error('The kubeconfig has a user name and password, which API servers no longer take.');
  const ca = pem(options.ca);
  const clientCert = pem(options.cert);
  const clientKey = pem(options.key);
  return {
    server: cluster.server,
    ...(ca !== undefined && { ca }),
    ...(clientCert !== undefined && { clientCert }),
    ...(clientKey !== undefined && { clientKey }),
    ...(options.servername !== undefined && { serverName: options.servername }),
    ...(cluster.skipTLSVerify && { skipTlsVerify: true }),
    ...(bearerOf(options) !== undefined && { bearerToken: cacheToken(async () => bearerOf(await credentials(config))) }),
  };
}

function load(config: KubeConfig, file: string | undefined): void {
  try {
    if (file !== undefined) config.loadFromFile(file);
    else config.loadFromDefault();
  } catch (cause) {
    const name = file === undefined ? 'the kubeconfig' : `the kubeconfig ${file}`;
    throw new Error(`Cannot read ${name}: ${errorMessage(cause)}.`, { cause });
  }
  // What client-node makes up when it finds nothing.
  if (file === undefined && config.getCurrentCluster()?.server === 'http://localhost:8080') {
    throw new Error('Found no kubeconfig and no service account: give --kubeconfig, or set KUBECONFIG.');
  }
}

function choose(config: KubeConfig, context: string | undefined): void {
  const known = config.getContexts().map((entry) => entry.name);
  const wanted = context ?? config.getCurrentContext();
  if (known.includes(wanted)) config.setCurrentContext(wanted);
  else if (wanted) throw new Error(`The kubeconfig has no context ${JSON.stringify(wanted)}; it has ${known.join(', ') || 'none'}.`);
  else throw new Error(`The kubeconfig has no current context: give --context; it has ${known.join(', ') || 'none'}.`);
}

async function credentials(config: KubeConfig): Promise<RequestOptions & { headers?: Record<string, string> }> {
  const options: RequestOptions & { headers?: Record<string, string> } = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (cause) {
    throw new Error(`Cannot get credentials from the kubeconfig: ${errorMessage(cause)}.`, { cause });
  }
  return options;
}

function bearerOf(options: { readonly headers?: Readonly<Record<string, string>> }): string | undefined {
  const header = options.headers?.['Authorization'];
  return header?.startsWith('Bearer ') === true ? header.slice('Bearer '.length).trim() : undefined;
}

function pem(value: RequestOptions['ca'] | RequestOptions['key']): string | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value.toString() : undefined;
}
