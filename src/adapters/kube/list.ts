import { isKubeObject } from './watch-event.ts';
import type { KubeObject } from './kube-object.ts';
import { ApiError, type KubeApi } from './transport.ts';

/** Objects of one page. */
const LIMIT = '500';
const LIST_TIMEOUT_MS = 30_000;

/**
 * Where a list may come from. `cache`: the API server's own cache, as it is (a start must not cost etcd reads; such a list is not paged there).
 * `notOlderThan`: the same, at least as new as what we saw, so that time never runs backwards. `quorum`: the newest truth, in pages.
 * As client-go's reflector and pager do.
 */
export type ListSource = { readonly from: 'cache' | 'quorum' } | { readonly from: 'notOlderThan'; readonly version: string };

interface ListPage {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly unknown[] | null;
}

export interface ListOptions {
  readonly api: KubeApi;
  readonly path: string;
  readonly selectors: Readonly<Record<string, string>>;
  readonly source: ListSource;
  readonly signal: AbortSignal;
  readonly put: (raw: KubeObject) => void;
}

/** Gives every object of the list to `put`, page by page; resolves to the version of the list. Throws ApiError. */
export async function list(options: ListOptions): Promise<string> {
  const { api, path, selectors, signal, put } = options;
  let query: Record<string, string> = { ...selectors, ...queryOf(options.source) };
  for (;;) {
    const page: ListPage = await api.get<ListPage>(path, { query, signal, timeoutMs: LIST_TIMEOUT_MS });
    for (const item of page.items ?? []) {
      if (!isKubeObject(item)) throw new ApiError(`GET ${path}: the list has an item without a name`, { retryable: true });
      put(item);
    }
    const version = page.metadata?.resourceVersion;
    if (version === undefined) throw new ApiError(`GET ${path}: the list has no version`, { retryable: true });
    if (!page.metadata?.continue) return version;
    query = { ...selectors, limit: LIMIT, continue: page.metadata.continue };
  }
}

function queryOf(source: ListSource): Record<string, string> {
  if (source.from === 'notOlderThan') return { resourceVersion: source.version, resourceVersionMatch: 'NotOlderThan' };
  return source.from === 'cache' ? { limit: LIMIT, resourceVersion: '0' } : { limit: LIMIT };
}
