import { backoffMs, type Backoff } from './backoff.ts';
import type { Logger } from './logger.ts';

export interface WorkQueue {
  /** Asks for a run of `key` as soon as there is room. */
  add(key: string): void;
  /** Asks for a run of `key` in `delayMs`; of several delays for one key the earliest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Aborts the runs, forgets what waits, and resolves when the last run has ended. */
  stop(): Promise<void>;
  /** Keys that are due and not running yet. */
  readonly size: number;
}

export interface WorkQueueOptions {
  /** Brings one key to its desired state from whatever state it is in; `signal` aborts at stop() and after `timeoutMs`. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<{ requeueAfterMs?: number } | void>;
  readonly concurrency: number;
  readonly log: Logger;
  /** Waits after throws of one key in a row. */
  readonly backoff?: Backoff;
  /** Bound of one run. */
  readonly timeoutMs?: number;
  readonly random?: () => number;
}

/** Short at first, since most failures are conflicts and blips; a minute at most, since the API server may be down for long. */
const BACKOFF: Backoff = { minMs: 50, maxMs: 60_000, factor: 2, jitter: 0.5 };

/**
 * A queue of keys without duplicates. One key never runs twice at once; a key added during its run runs once more after it.
 * A throw is logged and brings the key back with growing waits; its next good run forgets them.
 * Bounded by the number of distinct keys.
 */
export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { reconcile, concurrency, log, backoff = BACKOFF, timeoutMs = 60_000, random = Math.random } = options;
  const due = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const again = new Set<string>();
  const delayed = new Map<string, { readonly timer: NodeJS.Timeout; readonly atMs: number }>();
  const failures = new Map<string, number>();
  const stopping = new AbortController();

  function add(key: string): void {
    if (stopping.signal.aborted) return;
    if (running.has(key)) again.add(key);
    else due.add(key);
    fill();
  }

  function addAfter(key: string, delayMs: number): void {
    if (stopping.signal.aborted) return;
    const atMs = performance.now() + delayMs;
    const waiting = delayed.get(key);
    if (waiting !== undefined && waiting.atMs <= atMs) return;
    clearTimeout(waiting?.timer);
    const timer = setTimeout(() => {
      delayed.delete(key);
      add(key);
    }, delayMs);
    delayed.set(key, { timer, atMs });
  }

  function fill(): void {
    for (const key of due) {
      if (running.size >= concurrency) return;
      due.delete(key);
      running.set(key, run(key));
    }
  }

  async function run(key: string): Promise<void> {
    // Callers of add() are event callbacks: the work itself never runs inside them.
    await Promise.resolve();
    // What was asked for until now, this run will see.
    again.delete(key);
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`took longer than ${timeoutMs} ms`)), timeoutMs);
    try {
      const result = await reconcile(key, AbortSignal.any([stopping.signal, timeout.signal]));
      failures.delete(key);
      if (result?.requeueAfterMs !== undefined) addAfter(key, result.requeueAfterMs);
    } catch (error) {
      if (!stopping.signal.aborted) retry(key, error);
    } finally {
      clearTimeout(timer);
      running.delete(key);
      if (again.delete(key) && !stopping.signal.aborted) due.add(key);
      if (!stopping.signal.aborted) fill();
    }
  }

  function retry(key: string, error: unknown): void {
    const attempt = failures.get(key) ?? 0;
    failures.set(key, attempt + 1);
    const retryInMs = Math.round(backoffMs(backoff, attempt, random));
    log.warn('reconcile failed', { key, attempt: attempt + 1, retryInMs, error });
    addAfter(key, retryInMs);
  }

  async function stop(): Promise<void> {
    stopping.abort(new Error('stopping'));
    for (const { timer } of delayed.values()) clearTimeout(timer);
    delayed.clear();
    due.clear();
    again.clear();
    await Promise.all(running.values());
  }

  return {
    add,
    addAfter,
    stop,
    get size() {
      return due.size;
    },
  };
}
