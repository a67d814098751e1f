import { access } from 'node:fs/promises';
import { connectionInCluster, SERVICE_ACCOUNT_DIR } from './in-cluster.ts';

/** Where the API server is and how to prove who we are; certificates and keys are PEM texts. */
export interface Connection {
  readonly server: string;
  /** Read again for every new connection, so that a getter can follow a CA that changes. */
  readonly ca?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  /** Asked at every request; `renew` is set after a 401: do not answer from a cache. */
  readonly bearerToken?: (renew?: boolean) => Promise<string | undefined>;
  /** Name in the server's certificate when it is not the host of `server`. */
  readonly serverName?: string;
  /** Whether the kubeconfig says insecure-skip-tls-verify. */
  readonly skipTlsVerify?: boolean;
}

export interface ConnectionOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  /** KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which kubelet sets in every container. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly serviceAccountDir?: string;
}

/**
 * The connection that a command uses: of the given kubeconfig; else of the pod we run in; else of the user's own kubeconfig.
 * Rejects with one sentence when there is none.
 */
export async function resolveConnection(options: ConnectionOptions): Promise<Connection> {
  const { kubeconfig, context, env = process.env, serviceAccountDir = SERVICE_ACCOUNT_DIR } = options;
  if (kubeconfig === undefined && context === undefined && (await exists(`${serviceAccountDir}/token`))) {
    return connectionInCluster(serviceAccountDir, env);
  }
  const { connectionOfKubeconfig } = await import('./kubeconfig.ts');
  return connectionOfKubeconfig(kubeconfig, context);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
