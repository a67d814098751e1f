import type { EndpointChange } from '../core/endpoint-override.ts';

/*
 * One slice has two writers: the endpoint-slice controller and us. The webhook keeps the peace; where it cannot (no replica is
 * up, one knows old facts), each would undo the other's write for ever, as fast as watches are.
 */

/** What is remembered of the writes to one slice; undefined before the first. */
export interface WriteHistory {
  readonly lastMs: number;
  /** Writes in a row that only repeated what had been written before: somebody turns them back. */
  readonly repeats: number;
  readonly actionOfPod: ReadonlyMap<string, EndpointChange['action']>;
}

const INTERVAL_MS = 1000;
const FIGHT_INTERVAL_MAX_MS = 30_000;
/** With nobody turning anything back for this long beyond the interval, a fight is over. */
const QUIET_MS = 10_000;

/** How long the changes have to wait: nothing at first, a second after any write, up to 30 s while they repeat the same over and over. */
export function waitMs(history: WriteHistory | undefined, changes: readonly EndpointChange[], nowMs: number): number {
  if (history === undefined) return 0;
  const interval = isRepeat(history, changes) ? fightIntervalMs(history.repeats) : INTERVAL_MS;
  return Math.max(0, history.lastMs + interval - nowMs);
}

/** The history after these changes were written. */
export function afterWrite(history: WriteHistory | undefined, changes: readonly EndpointChange[], nowMs: number): WriteHistory {
  const isOver = history === undefined || nowMs - history.lastMs > 2 * fightIntervalMs(history.repeats) + QUIET_MS;
  const before = isOver ? undefined : history;
  const repeated = before !== undefined && isRepeat(before, changes);
  return {
    lastMs: nowMs,
    repeats: (before?.repeats ?? 0) + (repeated ? 1 : 0),
    actionOfPod: new Map([...(before?.actionOfPod ?? []), ...changes.map(({ pod, action }) => [pod.uid, action] as const)]),
  };
}

function isRepeat(history: WriteHistory, changes: readonly EndpointChange[]): boolean {
  return changes.every(({ pod, action }) => history.actionOfPod.get(pod.uid) === action);
}

function fightIntervalMs(repeats: number): number {
  return Math.min(FIGHT_INTERVAL_MAX_MS, INTERVAL_MS * 2 ** repeats);
}
