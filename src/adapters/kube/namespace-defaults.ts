import { FAILOVER_ENABLED, FAILOVER_LABEL, PREFIX } from '../../api/keys.ts';
import type { Logger } from '../../runtime/logger.ts';
import { createReflector } from './reflector.ts';
import type { KubeApi } from './transport.ts';

type Annotations = Readonly<Record<string, string>>;

export interface NamespaceDefaults {
  start(): void;
  stop(): Promise<void>;
  readonly synced: boolean;
  /** Our annotations of an opted-in namespace; undefined when it is not known (to be opted in). */
  annotations(namespace: string): Annotations | undefined;
}

/** Watches the opted-in namespaces for their defaults; keeps nothing of them but our annotations. */
export function createNamespaceDefaults({ api, log }: { readonly api: KubeApi; readonly log: Logger }): NamespaceDefaults {
  const reflector = createReflector<Annotations>({
    api,
    log,
    path: '/api/v1/namespaces',
    labelSelector: `${FAILOVER_LABEL}=${FAILOVER_ENABLED}`,
    project: ({ metadata }) => Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([key]) => key.startsWith(PREFIX))),
  });
  return {
    start: () => reflector.start(),
    stop: () => reflector.stop(),
    get synced() {
      return reflector.synced;
    },
    annotations: (namespace) => reflector.get(namespace),
  };
}
