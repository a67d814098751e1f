import { backoffMs, type Backoff } from '../runtime/backoff.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Pod } from '../core/pod.ts';
import { statusChange, type DesiredStatus } from '../core/pod-status.ts';
import type { PodWriter } from './ports.ts';

/**
 * Brings one pod's status to what is desired. Never waited for: the switch must not depend on the API server.
 * At most one write at a time; while one is under way or fails, only the newest wish is kept.
 */
export interface StatusWriter {
  /** The pod as the API server tells it. */
  observe(pod: Pod): void;
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
  let retry: NodeJS.Timeout | undefined;
  let stopped = false;

  function run(): void {
    if (stopped || writing || retry !== undefined || desired === undefined) return;
    const change = statusChange(pod, desired, nowMs());
    if (change === undefined) return;
    writing = true;
    writer.write(pod, change).then(written, failed);
  }

  function written(answer: Pod | 'gone'): void {
    writing = false;
    failures = 0;
    if (answer === 'gone') stopped = true;
    // An event that arrived during the write is older than the answer, or the next event corrects this.
    else pod = answer;
    run();
  }

  function failed(error: unknown): void {
    writing = false;
    log.warn('status not written yet', { error, failures: failures + 1 });
    retry = setTimeout(
      () => {
        retry = undefined;
        run();
      },
      backoffMs(backoff, failures++),
    );
  }

  return {
    observe(seen) {
      pod = seen;
      run();
    },
    want(wish) {
      desired = wish;
      run();
    },
    stop() {
      stopped = true;
      clearTimeout(retry);
    },
  };
}
