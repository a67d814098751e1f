import { resolveConnection } from '../adapters/kube/connection.ts';
import { createKubeApi, type KubeApi } from '../adapters/kube/transport.ts';
import { UsageError } from './command.ts';
import type { FlagValues } from './flags.ts';
import type { KUBE_FLAGS } from './kube-flags.ts';

/** The API server that the flags name, for the part of that name; a connection that cannot be made is bad input. */
export async function connect(part: string, { kubeconfig, context }: FlagValues<typeof KUBE_FLAGS>): Promise<KubeApi> {
  try {
    const connection = await resolveConnection({ ...(kubeconfig === undefined ? {} : { kubeconfig }), ...(context === undefined ? {} : { context }) });
    return createKubeApi(connection, { userAgent: `hot-switch-${part}` });
  } catch (error) {
    throw new UsageError(`--kubeconfig: ${(error as Error).message}`);
  }
}
