/** How waits grow: `minMs`, then times `factor` each, at most `maxMs`; then up to `jitter` (0 to 1) of it is taken off at random. */
export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  readonly factor: number;
  readonly jitter: number;
}

/** The wait in milliseconds before attempt `attempt` + 1, counted from 0; `random` gives numbers in [0, 1). */
export function backoffMs(backoff: Backoff, attempt: number, random: () => number = Math.random): number {
  const fullMs = Math.min(backoff.maxMs, backoff.minMs * backoff.factor ** attempt);
  return fullMs * (1 - backoff.jitter * random());
}

/** Waits; ends early, and without an error, when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
