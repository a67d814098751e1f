import { backoffMs, type Backoff } from '../../runtime/backoff.ts';

/** How one round of list and watch ended. */
export type RoundEnd =
  /** An established watch ended or broke. */
  | { readonly kind: 'broken'; readonly livedMs: number }
  /** Its place in the history is gone, as after every restart of the API server: a list comes next. */
  | { readonly kind: 'expired'; readonly livedMs: number }
  /** The API server gave no answer at all. */
  | { readonly kind: 'unreachable' }
  /** It answered with an error. */
  | { readonly kind: 'refused'; readonly retryAfterMs: number | undefined };

export interface PaceOptions {
  /** client-go: 800 ms to 30 s, doubling (tools/cache/reflector.go). */
  readonly backoff: Backoff;
  /** An agent must be back soon after its API server is, and a refused connection costs nobody anything. */
  readonly unreachableMaxMs: number;
  /** Wait after the first break, and after the first expiry. */
  readonly quick: Backoff;
  /** A watch that lived this long was a good one. */
  readonly goodAfterMs: number;
  /** Bound of what a Retry-After may ask for. */
  readonly retryAfterMaxMs: number;
}

export const PACE: PaceOptions = {
  backoff: { minMs: 800, maxMs: 30_000, factor: 2, jitter: 0.5 },
  unreachableMaxMs: 2_000,
  quick: { minMs: 200, maxMs: 200, factor: 1, jitter: 0.5 },
  goodAfterMs: 5_000,
  retryAfterMaxMs: 120_000,
};

/** The waits between rounds in milliseconds; remembers how bad it has been. */
export function createPace(options: PaceOptions, random: () => number): { waitMs(end: RoundEnd): number } {
  let failures = 0;
  let expiries = 0;
  let unanswered = 0;

  function waitMs(end: RoundEnd): number {
    if (end.kind === 'unreachable') {
      const backoff = { ...options.backoff, maxMs: Math.min(options.backoff.maxMs, options.unreachableMaxMs) };
      return backoffMs(backoff, unanswered++, random);
    }
    unanswered = 0;
    if (end.kind === 'refused') {
      const askedMs = Math.min(end.retryAfterMs ?? 0, options.retryAfterMaxMs);
      return Math.max(askedMs, backoffMs(options.backoff, failures++, random));
    }
    if (end.livedMs >= options.goodAfterMs) {
      failures = 0;
      expiries = 0;
    }
    const attempt = end.kind === 'expired' ? expiries++ : failures++;
    return attempt === 0 ? backoffMs(options.quick, 0, random) : backoffMs(options.backoff, attempt - 1, random);
  }

  return { waitMs };
}
