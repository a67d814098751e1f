import { backoffMs, type Backoff } from '../../runtime/backoff.ts';
import type { Logger } from '../../runtime/logger.ts';
import { isNotNewer, objectKey, type KubeObject } from './kube-object.ts';

export type OnChange<T> = (key: string, now: T | undefined, before: T | undefined) => void;

export interface ProjectedStoreOptions<T> {
  readonly project: (raw: KubeObject) => T | undefined;
  readonly onChange: OnChange<T> | undefined;
  readonly log: Logger;
  readonly retry: Backoff;
  readonly random: () => number;
}

/** What one list is gathered into, before it takes the place of what was there. */
export interface Replacement {
  put(raw: KubeObject): void;
  commit(): void;
}

/** The projections of all objects of one kind. Each knows its version, so that an old event changes nothing. */
export interface ProjectedStore<T> {
  readonly values: ReadonlyMap<string, { readonly value: T }>;
  set(raw: KubeObject): void;
  remove(raw: KubeObject): void;
  replace(): Replacement;
  /** From now on nothing is reported. */
  close(): void;
}

interface Entry<T> {
  readonly version: string | undefined;
  readonly value: T;
}

/**
 * Nothing is lost to a `project` or `onChange` that throws: the object (or the report) is kept and tried again with growing waits,
 * while everything else goes on. Until a project succeeds, the value before it stays.
 */
export function createProjectedStore<T>(options: ProjectedStoreOptions<T>): ProjectedStore<T> {
  const { project, onChange, log, retry, random } = options;
  let entries = new Map<string, Entry<T>>();
  /** Objects whose project threw. */
  const unprojected = new Map<string, KubeObject>();
  /** What the consumer last heard of a key whose report threw. */
  const unreported = new Map<string, T | undefined>();
  let retries = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function projectOrKeep(key: string, raw: KubeObject): { readonly value: T | undefined } | undefined {
    try {
      const value = project(raw);
      unprojected.delete(key);
      return { value };
    } catch (error) {
      log.error('object could not be read, will be tried again', { key, error });
      unprojected.set(key, raw);
      return undefined;
    }
  }

  function report(key: string, now: T | undefined, before: T | undefined): void {
    const heard = unreported.has(key) ? unreported.get(key) : before;
    if (closed || (now === undefined && heard === undefined)) {
      unreported.delete(key);
      return;
    }
    try {
      onChange?.(key, now, heard);
      unreported.delete(key);
    } catch (error) {
      log.error('change could not be delivered, will be tried again', { key, error });
      unreported.set(key, heard);
    }
  }

  function apply(key: string, raw: KubeObject): void {
    const before = entries.get(key);
    const projected = projectOrKeep(key, raw);
    if (projected === undefined) return;
    if (projected.value === undefined) entries.delete(key);
    else entries.set(key, { version: raw.metadata.resourceVersion, value: projected.value });
    report(key, projected.value, before?.value);
  }

  function set(raw: KubeObject): void {
    const key = objectKey(raw);
    if (isNotNewer(raw.metadata.resourceVersion, entries.get(key)?.version)) return;
    apply(key, raw);
    settle();
  }

  function remove(raw: KubeObject): void {
    const key = objectKey(raw);
    const before = entries.get(key);
    unprojected.delete(key);
    entries.delete(key);
    report(key, undefined, before?.value);
    settle();
  }

  function replace(): Replacement {
    const next = new Map<string, Entry<T>>();
    const failed = new Set<string>();
    return {
      put: (raw) => {
        const key = objectKey(raw);
        const version = raw.metadata.resourceVersion;
        const before = entries.get(key);
        if (before !== undefined && version !== undefined && before.version === version) {
          next.set(key, before);
          return;
        }
        const projected = projectOrKeep(key, raw);
        if (projected === undefined) {
          failed.add(key);
          if (before !== undefined) next.set(key, before);
        } else if (projected.value !== undefined) {
          next.set(key, { version, value: projected.value });
        }
      },
      commit: () => {
        const previous = entries;
        entries = next;
        for (const key of unprojected.keys()) if (!failed.has(key)) unprojected.delete(key);
        for (const [key, entry] of previous) if (!next.has(key)) report(key, undefined, entry.value);
        for (const [key, entry] of next) if (previous.get(key) !== entry) report(key, entry.value, previous.get(key)?.value);
        settle();
      },
    };
  }

  function settle(): void {
    if (unprojected.size + unreported.size === 0) retries = 0;
    else if (timer === undefined && !closed) timer = setTimeout(tryAgain, backoffMs(retry, retries, random));
  }

  function tryAgain(): void {
    timer = undefined;
    retries += 1;
    for (const [key, raw] of unprojected) apply(key, raw);
    for (const key of unreported.keys()) report(key, entries.get(key)?.value, undefined);
    settle();
  }

  return {
    get values() {
      return entries;
    },
    set,
    remove,
    replace,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}
