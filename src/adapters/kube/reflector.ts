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
  /** A watch this silent is dead; bookmarks come about once a minute (kubernetes/enhancements 3157). */
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
    let troubles = 0;
    while (!signal.aborted) {
      const end = await round(() => {
        if (troubles > 0) log.info('watch is back', { troubles });
        troubles = 0;
      });
      if (signal.aborted) return;
      const waitMs = Math.round(pace.waitMs(end.how));
      troubles += 1;
      // One line for the first of a row: an API server that is down for long must not fill the disk.
      if (end.error === undefined || troubles > 1) log.debug('watch ended', { waitMs, ...end.how, error: end.error });
      else log.warn('watch failed, will go on', { waitMs, relist: needsList, error: end.error });
      await pause(waitMs, signal);
    }
  }

  async function round(onEstablished: () => void): Promise<{ readonly how: RoundEnd; readonly error?: unknown }> {
    let establishedMs: number | undefined;
    try {
      if (needsList) await relist();
      await watch(() => {
        establishedMs = performance.now();
        onEstablished();
      });
      return { how: { kind: 'broken', livedMs: performance.now() - (establishedMs ?? 0) } };
    } catch (error) {
      if (establishedMs !== undefined && !(error instanceof Refused)) return { how: { kind: 'broken', livedMs: performance.now() - establishedMs }, error };
      if (error instanceof Refused) return { how: { kind: 'refused', retryAfterMs: error.retryAfterMs }, error: error.message };
      if (error instanceof ApiError && error.status === undefined && error.retryable) return { how: { kind: 'unreachable' }, error };
      if (error instanceof ApiError && error.status === 410) return { how: { kind: 'broken', livedMs: 0 }, error };
      return { how: { kind: 'refused', retryAfterMs: error instanceof ApiError ? error.retryAfterMs : undefined }, error };
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
        if (event.code === 410) throw new ApiError(`WATCH ${path}: ERROR 410: ${event.message}`, { status: 410, retryable: true });
        throw new Refused(`WATCH ${path}: ERROR ${event.code ?? ''}: ${event.message}`, event.retryAfterMs);
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

/** The API server ended the watch with an error of its own. */
class Refused extends Error {
  readonly retryAfterMs: number | undefined;
  constructor(message: string, retryAfterMs: number | undefined) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}
