import type { PaceOptions } from '../../src/adapters/kube/reflector-pace.ts';

/** The reflector's waits, shrunk some two hundred times. */
export const FAST_PACE: PaceOptions = {
  backoff: { minMs: 4, maxMs: 40, factor: 2, jitter: 0.5 },
  unreachableMaxMs: 10,
  quick: { minMs: 1, maxMs: 1, factor: 1, jitter: 0.5 },
  goodAfterMs: 25,
  retryAfterMaxMs: 120_000,
};
