import type { EndpointFacts } from '../core/endpoint-facts.ts';
import type { EndpointSlice, PodReference } from '../core/endpoint-slice.ts';
import type { JsonPatchOperation } from '../core/json-patch.ts';

/** What became of a patch: `moved` means that a `test` failed, since the slice is not what it was taken for. */
export type SliceWrite = { readonly kind: 'written'; readonly slice: EndpointSlice } | { readonly kind: 'moved' | 'gone' };

/** The EndpointSlices of the cluster, by `namespace/name`. Reads and writes reject when the API server did not answer. */
export interface Slices {
  /** From the cache. */
  get(key: string): EndpointSlice | undefined;
  /** From the API server; undefined when there is none. */
  read(key: string, signal: AbortSignal): Promise<EndpointSlice | undefined>;
  patch(key: string, operations: readonly JsonPatchOperation[], signal: AbortSignal): Promise<SliceWrite>;
}

/** What is known about the objects around endpoints. */
export interface FactsSource {
  /** From the caches. */
  facts(): EndpointFacts;
  /** With these pods and the Leases of their nodes read from the API server; what cannot be read is unknown. */
  confirm(pods: readonly PodReference[], signal: AbortSignal): Promise<EndpointFacts>;
}
