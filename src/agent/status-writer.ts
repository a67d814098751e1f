import { backoffMs, type Backoff } from '../runtime/backoff.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Pod } from '../core/pod.ts';
import { statusChange, type DesiredStatus, type StatusChange } from '../core/pod-status.ts';
import type { PodWriter } from './ports.ts';

/**
 * Brings one pod's status to what is desired. Never waited for: the switch must not depend on the API server.
 * At most one write at a time; while one is under way or fails, only the newest wish is kept.
 */
export interface StatusWriter {
  /** The pod as the API server tells it. */
  observe(pod: Pod): void;
  /** Where too little is known of traffic, what was wished for it before still holds. */
  want(desired: DesiredStatus): void;
  stop(): void;
}

/** Short at first: a write is on the recovery path; at most 10 s, so that a returning API server is told soon. */
const BACKOFF: Backoff = { minMs: 100, maxMs: 10_000, factor: 2, jitter: 0.5 };

/** A writer for the pod; `nowMs` is the wall clock. */
export function createStatusWriter(
  first: Pod,
  options: { readonly writer: PodWriter; readonly log: Logger; readonly nowMs: () => number; readonly backoff?: Backoff },
): StatusWriter {
  const { writer, log, nowMs, backoff = BACKOFF } = options;
  let pod = first;
  let desired: DesiredStatus | undefined;
  let writing = false;
  let failures = 0;
  /** What was written last, and how often in a row without lasting. */
  let written = '';
  let repeats = 0;
  let wait: { readonly timer: NodeJS.Timeout; readonly after: 'failure' | 'repeat' } | undefined;
  let stopped = false;

  function run(): void {
    if (stopped || writing || wait?.after === 'failure' || desired === undefined) return;
    const change = statusChange(pod, desired, nowMs());
    if (change === undefined) return;
    if (textOf(change) !== written) return write(change);
    // The same once more: this view of the pod is older than our write, or somebody takes it back. Neither is met with haste.
    if (wait === undefined) waitFor('repeat', repeats++);
  }

  function write(change: StatusChange): void {
    clearTimeout(wait?.timer);
    wait = undefined;
    writing = true;
    writer.write(pod, change).then((answer) => accepted(change, answer), failed);
  }

  function accepted(change: StatusChange, answer: Pod | 'gone'): void {
    writing = false;
    failures = 0;
    const text = textOf(change);
    if (text !== written) repeats = 0;
    written = text;
    if (answer === 'gone') stopped = true;
    // An event that arrived during the write is older than the answer, or the next event corrects this.
    else pod = answer;
    run();
  }

  function failed(error: unknown): void {
    writing = false;
    log.warn('status not written yet', { error, failures: failures + 1 });
    if (!stopped) waitFor('failure', failures++);
  }

  function waitFor(after: 'failure' | 'repeat', attempt: number): void {
    const timer = setTimeout(
      () => {
        wait = undefined;
        const change = desired && statusChange(pod, desired, nowMs());
        if (!stopped && change !== undefined) write(change);
      },
      backoffMs(backoff, attempt),
    );
    wait = { timer, after };
  }

  return {
    observe(seen) {
      pod = seen;
      run();
    },
    want(wish) {
      desired = desired === undefined || wish.decision.traffic !== undefined ? wish : { ...desired, observation: wish.observation };
      run();
    },
    stop() {
      stopped = true;
      clearTimeout(wait?.timer);
    },
  };
}

/** The change without its times. */
function textOf({ labels, annotations, conditions }: StatusChange): string {
  return JSON.stringify([labels, annotations, conditions?.map(({ type, status, reason, message }) => [type, status, reason, message])]);
}
