import { secondsToMs } from './api-error.ts';
import type { KubeObject } from './kube-object.ts';

/** One line of a watch (k8s.io/apimachinery meta/v1 WatchEvent). */
export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly code: number | undefined; readonly message: string; readonly retryAfterMs: number | undefined }
  | { readonly type: 'unreadable'; readonly why: string };

interface Wire {
  readonly type?: unknown;
  readonly object?: {
    readonly metadata?: { readonly name?: unknown; readonly resourceVersion?: unknown } | null;
    readonly code?: unknown;
    readonly message?: unknown;
    readonly details?: { readonly retryAfterSeconds?: unknown } | null;
  } | null;
}

/** Never throws: what is not an event is `unreadable`. */
export function parseWatchEvent(line: string): WatchEvent {
  let wire: Wire | null;
  try {
    wire = JSON.parse(line) as Wire | null;
  } catch {
    return { type: 'unreadable', why: 'not JSON' };
  }
  const object = wire?.object;
  if (typeof object !== 'object' || object === null) return { type: 'unreadable', why: 'no object' };
  switch (wire?.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return isKubeObject(object) ? { type: wire.type, object } : { type: 'unreadable', why: 'an object without a name' };
    case 'BOOKMARK': {
      const resourceVersion = object.metadata?.resourceVersion;
      return typeof resourceVersion === 'string' ? { type: 'BOOKMARK', resourceVersion } : { type: 'unreadable', why: 'a bookmark without a version' };
    }
    case 'ERROR':
      return {
        type: 'ERROR',
        code: typeof object.code === 'number' ? object.code : undefined,
        message: typeof object.message === 'string' ? object.message : '',
        retryAfterMs: secondsToMs(object.details?.retryAfterSeconds),
      };
    default:
      return { type: 'unreadable', why: 'an unknown type' };
  }
}

/** Whether the value has what every object has: a metadata with a name. */
export function isKubeObject(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false;
  const metadata: unknown = value.metadata;
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata && typeof metadata.name === 'string' && metadata.name !== '';
}
