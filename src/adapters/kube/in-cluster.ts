import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { errorMessage } from '../../runtime/error-message.ts';
import type { Connection } from './connection.ts';
import { cacheToken } from './token-cache.ts';

/** Where kubelet mounts the service account (kubernetes: plugin/pkg/admission/serviceaccount). */
export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The connection of the pod that we run in, from its service account files and the two variables that kubelet sets. */
export function connectionInCluster(dir: string, env: Readonly<Record<string, string | undefined>>): Connection {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (host === undefined || port === undefined) {
    throw new Error(`${dir} exists, and KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: cannot tell where the API server is.`);
  }
  let ca = readCa(dir);
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    get ca() {
      try {
        ca = readCa(dir);
      } catch {
        // The last good one: kubelet swaps the files, and a moment without them must not drop the CA.
      }
      return ca;
    },
    bearerToken: cacheToken(() => readToken(dir)),
  };
}

function readCa(dir: string): string {
  try {
    return readFileSync(`${dir}/ca.crt`, 'utf8');
  } catch (cause) {
    throw new Error(`Cannot read the CA of the API server, ${dir}/ca.crt: ${errorMessage(cause)}.`, { cause });
  }
}

async function readToken(dir: string): Promise<string> {
  let token: string;
  try {
    token = (await readFile(`${dir}/token`, 'utf8')).trim();
  } catch (cause) {
    throw new Error(`Cannot read the service account's token, ${dir}/token: ${errorMessage(cause)}.`, { cause });
  }
  if (token === '') throw new Error(`The service account's token, ${dir}/token, is empty.`);
  return token;
}
