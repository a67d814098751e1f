import { patchOf, planSlice } from '../core/endpoint-override.ts';
import type { EndpointChange } from '../core/endpoint-override.ts';
import type { EndpointFacts } from '../core/endpoint-facts.ts';
import type { EndpointSlice } from '../core/endpoint-slice.ts';
import type { Logger } from '../runtime/logger.ts';
import type { FactsSource, Slices } from './ports.ts';
import { afterWrite, waitMs } from './write-pacing.ts';
import type { WriteHistory } from './write-pacing.ts';

export interface EndpointReconciler {
  /** Brings one slice to what its pods are; gives when to look again. Rejects when the API server did not answer. */
  reconcile(key: string, signal: AbortSignal): Promise<{ requeueAfterMs?: number }>;
  /** Forgets a slice that is gone. */
  forget(key: string): void;
}

export interface EndpointReconcilerOptions {
  readonly slices: Slices;
  readonly facts: FactsSource;
  readonly nowMs: () => number;
  readonly log: Logger;
}

interface Memory {
  history?: WriteHistory;
  /** The answer to our last write, for as long as the cache still holds what it held then. */
  answer?: { readonly cached: EndpointSlice; readonly slice: EndpointSlice };
}

interface Decision {
  readonly changes: readonly EndpointChange[];
  readonly facts: EndpointFacts;
  /** There is more to do that this write leaves out. */
  readonly unfinished: boolean;
}

/** Indexes move under our feet: so often is the slice read anew at once; then later. */
const ATTEMPTS = 3;
const LATER_MS = 1000;

/** Any replica may run it at any time: it writes what everyone would write, and only where the slice is still what it was taken for. */
export function createEndpointReconciler({ slices, facts, nowMs, log }: EndpointReconcilerOptions): EndpointReconciler {
  const memories = new Map<string, Memory>();

  async function reconcile(key: string, signal: AbortSignal): Promise<{ requeueAfterMs?: number }> {
    const cached = slices.get(key);
    if (cached === undefined || !facts.facts().synced) return {};
    let slice: EndpointSlice | undefined = memories.get(key)?.answer?.cached === cached ? memories.get(key)?.answer?.slice : cached;
    for (let attempt = 0; slice !== undefined && attempt < ATTEMPTS; attempt += 1) {
      const { changes, facts: judged, unfinished } = await decide(slice, signal);
      const requeueAfterMs = changes.length === 0 ? 0 : Math.ceil(waitMs(memories.get(key)?.history, changes, nowMs()));
      if (changes.length === 0) return unfinished ? { requeueAfterMs: LATER_MS } : {};
      if (requeueAfterMs > 0) return { requeueAfterMs };
      const write = await slices.patch(key, patchOf(slice, changes, judged), signal);
      if (write.kind === 'gone') return {};
      if (write.kind === 'written') return settle({ key, cached, changes, unfinished, answer: write.slice });
      slice = await slices.read(key, signal);
    }
    return slice === undefined ? {} : { requeueAfterMs: LATER_MS };
  }

  /** Raises go first and at once: they are what clients wait for. Lowers rest on what the API server says now, not on a watch that may be behind. */
  async function decide(slice: EndpointSlice, signal: AbortSignal): Promise<Decision> {
    const live = facts.facts();
    const plan = planSlice(slice, live, nowMs());
    const raises = plan.filter((change) => change.action === 'raise');
    if (raises.length > 0) return { changes: raises, facts: live, unfinished: raises.length < plan.length };
    if (plan.length === 0) return { changes: [], facts: live, unfinished: false };
    const confirmed = await facts.confirm(
      plan.map((change) => change.pod),
      signal,
    );
    const changes = planSlice(slice, confirmed, nowMs());
    return { changes, facts: confirmed, unfinished: changes.length < plan.length };
  }

  /** Logs what was written, and reads the answer: a webhook with old facts may have turned it back, without any event to tell. */
  function settle(done: {
    readonly key: string;
    readonly cached: EndpointSlice;
    readonly changes: readonly EndpointChange[];
    readonly unfinished: boolean;
    readonly answer: EndpointSlice;
  }): { requeueAfterMs?: number } {
    const { key, cached, changes, unfinished, answer } = done;
    for (const { pod, action, reason } of changes) {
      log.info('endpoint written', { slice: key, pod: `${pod.namespace}/${pod.name}`, ready: action === 'raise', reason });
    }
    const history = afterWrite(memories.get(key)?.history, changes, nowMs());
    memories.set(key, { history, answer: { cached, slice: answer } });
    const left = planSlice(answer, facts.facts(), nowMs());
    if (left.length === 0) return unfinished ? { requeueAfterMs: LATER_MS } : {};
    const requeueAfterMs = Math.ceil(waitMs(history, left, nowMs()));
    if (!unfinished) log.warn('endpoint write was turned back', { slice: key, pods: left.map(({ pod }) => `${pod.namespace}/${pod.name}`), requeueAfterMs });
    return { requeueAfterMs };
  }

  return { reconcile, forget: (key) => void memories.delete(key) };
}
