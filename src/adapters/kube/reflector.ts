import { pause } from '../../runtime/backoff.ts';
import type { Logger } from '../../runtime/logger.ts';
import { isNotNewer, type KubeObject } from './kube-object.ts';
import { list, type ListSource } from './list.ts';
import { createProjectedStore, type OnChange } from './projected-store.ts';
import { createPace, PACE, type PaceOptions, type RoundEnd } from './reflector-pace.ts';
import { ApiError, type KubeApi } from './transport.ts';
import { parseWatchEvent } from './watch-event.ts';

export type { KubeObject };

/** A local copy of what the API server has, kept by list and watch. It heals by itself from whatever breaks; keys are `namespace/name` or `name`. */
export interface Reflector<T> {
  /** Begins; a second call does nothing. */
  start(): void;
  /** Ends for good. After it was called nothing is reported any more. */
  stop(): Promise<void>;
  /** Whether the first list is done; stays true. */
  readonly synced: boolean;
  /** performance.now() of the last sign of life of the API server. */
  readonly lastContactMs: number | undefined;
  /** Resolves after the first list; rejects when `signal` aborts or the reflector stops before it. */
  whenSynced(signal?: AbortSignal): Promise<void>;
  get(key: string): T | undefined;
  entries(): IterableIterator<[string, T]>;
  readonly size: number;
}

export interface ReflectorOptions<T> {
  readonly api: KubeApi;
  /** E.g. `/api/v1/pods`. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What to keep of an object; undefined: nothing. Called once per version. */
  readonly project: (raw: KubeObject) => T | undefined;
  /** Called after the store has changed; a relist reports what vanished meanwhile with `now` undefined. */
  readonly onChange?: OnChange<T>;
  readonly log: Logger;
  /**
   * A watch this silent is opened anew. Bookmarks come about once a minute (kubernetes/enhancements 3157), but only when any object of the kind
   * has changed since the last. A half-open connection is found sooner, by TCP.
   */
  readonly silenceMs?: number;
  readonly pace?: Partial<PaceOptions>;
  readonly random?: () => number;
}

/** Statuses of a watch that say its place in the history cannot be used: too old (410), not understood (400, 422), from the future (504). */
const LOST_PLACE: ReadonlySet<number> = new Set([400, 410, 422, 504]);

/**
 *   list ──> watch ──(ends, breaks, silent)──> wait ──> watch from the same place
 *    ^          └──(410, unreadable, ERROR)──> wait ──┐
 *    └────────────────────────────────────────────────┘
 */
export function createReflector<T>(options: ReflectorOptions<T>): Reflector<T> {
  const { api, path, silenceMs = 90_000, random = Math.random } = options;
  const log = options.log.with({ path });
  const paceOptions = { ...PACE, ...options.pace };
  const pace = createPace(paceOptions, random);
  const store = createProjectedStore<T>({ project: options.project, onChange: options.onChange, log, retry: paceOptions.backoff, random });
  const stopping = new AbortController();
  const { signal } = stopping;
  const waiters = new Set<() => void>();
  const selectors = {
    ...(options.labelSelector !== undefined && { labelSelector: options.labelSelector }),
    ...(options.fieldSelector !== undefined && { fieldSelector: options.fieldSelector }),
  };
  /** How far the store has come in the history. */
  let version: string | undefined;
  let needsList = true;
  let source: ListSource = { from: 'cache' };
  /** A list in one piece was refused for its size. */
  let tooLarge = false;
  let synced = false;
  let lastContactMs: number | undefined;
  let loop: Promise<void> | undefined;

  async function run(): Promise<void> {
    let warned = false;
    while (!signal.aborted) {
      const end = await round(() => {
        if (warned) log.info('watch is back');
        warned = false;
      });
      if (signal.aborted) return;
      const waitMs = Math.round(pace.waitMs(end.how));
      // One line for the first of a row: an API server that is down for long must not fill the disk.
      if (warned || isOrdinary(end.error)) log.debug('watch ended', { waitMs, ...end.how, error: end.error });
      else {
        warned = true;
        log.warn('watch failed, will go on', { waitMs, relist: needsList, error: end.error });
      }
      await pause(waitMs, signal);
    }
  }

  async function round(onEstablished: () => void): Promise<{ readonly how: RoundEnd; readonly error?: unknown }> {
    let establishedMs: number | undefined;
    const livedMs = (): number => (establishedMs === undefined ? 0 : performance.now() - establishedMs);
    try {
      if (needsList) await relist();
      await watch(() => {
        establishedMs = performance.now();
        onEstablished();
      });
      return { how: { kind: 'broken', livedMs: livedMs() } };
    } catch (error) {
      return { how: howItEnded(error, establishedMs !== undefined, livedMs()), error };
    }
  }

  async function relist(): Promise<void> {
    const replacement = store.replace();
    try {
      version = await list({ api, path, selectors, source, signal, put: (raw) => replacement.put(raw) });
    } catch (error) {
      // Too large in one piece, a version the server cannot serve, a page token that expired: ask for the newest, in pages.
      if (error instanceof ApiError && error.reason === 'TooLarge') tooLarge = true;
      if (error instanceof ApiError && (tooLarge || LOST_PLACE.has(error.status ?? 0))) source = { from: 'quorum' };
      throw error;
    }
    if (signal.aborted) return;
    lastContactMs = performance.now();
    needsList = false;
    replacement.commit();
    if (!synced) {
      synced = true;
      log.info('synced', { objects: store.values.size });
      for (const wake of waiters) wake();
    }
  }

  async function watch(onEstablished: () => void): Promise<void> {
    if (signal.aborted) return;
    const query = { ...selectors, watch: 'true', allowWatchBookmarks: 'true', resourceVersion: version ?? '', timeoutSeconds: watchSeconds() };
    try {
      const lines = await api.stream(path, { query, signal, silenceMs });
      lastContactMs = performance.now();
      onEstablished();
      for await (const line of lines) {
        if (signal.aborted) return;
        lastContactMs = performance.now();
        take(line);
      }
    } catch (error) {
      if (error instanceof ApiError && (LOST_PLACE.has(error.status ?? 0) || error.reason === 'LineTooLong')) losePlace();
      throw error;
    }
  }

  /** As client-go: 5 to 10 minutes, so that watches do not all end together, and none lives on a server that forgot it. */
  function watchSeconds(): string {
    return String(300 + Math.floor(random() * 300));
  }

  function take(line: string): void {
    const event = parseWatchEvent(line);
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED': {
        const eventVersion = event.object.metadata.resourceVersion;
        // A watch delivers in the order of history: what is not newer is a repetition.
        if (isNotNewer(eventVersion, version)) return;
        if (event.type === 'DELETED') store.remove(event.object);
        else store.set(event.object);
        version = eventVersion ?? version;
        return;
      }
      case 'BOOKMARK':
        if (!isNotNewer(event.resourceVersion, version)) version = event.resourceVersion;
        return;
      case 'ERROR':
        losePlace();
        throw new ApiError(`WATCH ${path}: ERROR ${event.code ?? ''}: ${event.message}`, {
          status: event.code ?? 500,
          retryable: true,
          retryAfterMs: event.retryAfterMs,
        });
      case 'unreadable':
        // An event is lost, and nobody knows which: only a list tells what is true.
        losePlace();
        throw new ApiError(`WATCH ${path}: an unreadable line: ${event.why}`, { retryable: true });
    }
  }

  function losePlace(): void {
    needsList = true;
    source = tooLarge || version === undefined ? { from: 'quorum' } : { from: 'notOlderThan', version };
  }

  return {
    start: () => {
      if (!signal.aborted) loop ??= run();
    },
    stop: async () => {
      stopping.abort(new Error('stopping'));
      store.close();
      for (const wake of waiters) wake();
      await loop;
    },
    get synced() {
      return synced;
    },
    get lastContactMs() {
      return lastContactMs;
    },
    whenSynced: (waiting) =>
      new Promise((resolve, reject) => {
        const wake = (): void => {
          if (!synced && !signal.aborted && waiting?.aborted !== true) return;
          waiters.delete(wake);
          waiting?.removeEventListener('abort', wake);
          if (synced) resolve();
          else reject(new Error(`${path} was not listed: ${signal.aborted ? 'stopped' : 'aborted'}`));
        };
        waiters.add(wake);
        waiting?.addEventListener('abort', wake);
        wake();
      }),
    get: (key) => store.values.get(key)?.value,
    *entries() {
      for (const [key, { value }] of store.values) yield [key, value] as [string, T];
    },
    get size() {
      return store.values.size;
    },
  };
}

function howItEnded(error: unknown, established: boolean, livedMs: number): RoundEnd {
  if (!(error instanceof ApiError)) return { kind: 'refused', retryAfterMs: undefined };
  if (error.status === 410) return { kind: 'expired', livedMs };
  if (error.status !== undefined) return { kind: 'refused', retryAfterMs: error.retryAfterMs };
  if (established) return { kind: 'broken', livedMs };
  return error.retryable ? { kind: 'unreachable' } : { kind: 'refused', retryAfterMs: undefined };
}

/** Ends that belong to the life of a watch: its time is over; or silence, since a place where nothing changes sends no bookmarks either. */
function isOrdinary(error: unknown): boolean {
  return error === undefined || (error instanceof ApiError && error.reason === 'Silence');
}
