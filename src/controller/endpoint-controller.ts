import { standsRaised } from '../core/endpoint-verdict.ts';
import type { EndpointSlice } from '../core/endpoint-slice.ts';
import type { Backoff } from '../runtime/backoff.ts';
import type { Logger } from '../runtime/logger.ts';
import { createWorkQueue } from '../runtime/work-queue.ts';
import { createEndpointReconciler } from './endpoint-reconciler.ts';
import type { FactsSource, Slices } from './ports.ts';
import { createSliceIndex } from './slice-index.ts';

export interface EndpointController {
  /** A slice changed, as the watch says. */
  sliceChanged(key: string, now: EndpointSlice | undefined): void;
  /** Something changed that a verdict about this pod reads; without a name, about any pod of the namespace. */
  factsChanged(namespace: string, podName: string | undefined): void;
  /** Looks at every slice: once all caches are filled. */
  lookAtAll(): void;
  stop(): Promise<void>;
}

export interface EndpointControllerOptions {
  readonly slices: Slices;
  readonly facts: FactsSource;
  readonly log: Logger;
  readonly nowMs?: () => number;
  /** How often slices with a raised endpoint are looked at without any event: a Lease that is no longer renewed makes none. */
  readonly recheckMs?: number;
}

const RECHECK_MS = 1000;
const CONCURRENCY = 8;
/** The API server's absence is no reason to be late once it is back. */
const BACKOFF: Backoff = { minMs: 50, maxMs: 5000, factor: 2, jitter: 0.5 };
const RECONCILE_TIMEOUT_MS = 30_000;

/** Keeps EndpointSlices true: any event about a slice or what its verdicts read queues the slices concerned, which are then judged as a whole. */
export function createEndpointController(options: EndpointControllerOptions): EndpointController {
  const { slices, facts, log, nowMs = () => Date.now(), recheckMs = RECHECK_MS } = options;
  const index = createSliceIndex();
  const known = new Set<string>();
  /** Slices that are true only as long as we watch over them. */
  const watched = new Set<string>();
  const reconciler = createEndpointReconciler({ slices, facts, nowMs, log });
  const queue = createWorkQueue({
    concurrency: CONCURRENCY,
    backoff: BACKOFF,
    timeoutMs: RECONCILE_TIMEOUT_MS,
    log,
    reconcile: async (key, signal) => {
      watch(key);
      return reconciler.reconcile(key, signal);
    },
  });
  const recheck = setInterval(() => addAll(watched), recheckMs);
  recheck.unref();

  function addAll(keys: Iterable<string>): void {
    for (const key of keys) queue.add(key);
  }

  function watch(key: string): void {
    const slice = slices.get(key);
    if (slice !== undefined && standsRaised(slice, facts.facts())) watched.add(key);
    else watched.delete(key);
  }

  return {
    sliceChanged(key, now) {
      index.set(key, now);
      if (now === undefined) {
        known.delete(key);
        watched.delete(key);
        reconciler.forget(key);
        return;
      }
      known.add(key);
      queue.add(key);
    },
    factsChanged: (namespace, podName) => addAll(podName === undefined ? index.byNamespace(namespace) : index.byPod(namespace, podName)),
    lookAtAll: () => addAll(known),
    async stop() {
      clearInterval(recheck);
      await queue.stop();
    },
  };
}
