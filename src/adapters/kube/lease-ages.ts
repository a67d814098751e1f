/** How long kubelets have been silent, by this process's own clock: nobody else's clock is trusted. */
export interface LeaseAges {
  /** Takes in a Lease as it was read; gives whether it was renewed since the last time. */
  observe(node: string, renewTime: string): boolean;
  forget(node: string): void;
  /** The API server was away and is back: kubelets could not renew either, so every silence starts anew. */
  startAnew(): void;
  /** When the Lease was seen to be renewed, on the clock of `nowMs`; the first sight counts. */
  renewedMs(node: string): number | undefined;
}

export interface Clock {
  /** Epoch milliseconds, as callers of the decisions use them. */
  readonly nowMs: () => number;
  /** Milliseconds that never jump, whatever is done to the wall clock. */
  readonly steadyMs: () => number;
}

export const SYSTEM_CLOCK: Clock = { nowMs: () => Date.now(), steadyMs: () => performance.now() };

export function createLeaseAges({ nowMs, steadyMs }: Clock): LeaseAges {
  const seen = new Map<string, { readonly renewTime: string; readonly atMs: number }>();
  let anewMs = Number.NEGATIVE_INFINITY;
  return {
    observe(node, renewTime) {
      if (seen.get(node)?.renewTime === renewTime) return false;
      seen.set(node, { renewTime, atMs: steadyMs() });
      return true;
    },
    forget: (node) => void seen.delete(node),
    startAnew: () => {
      anewMs = steadyMs();
    },
    renewedMs(node) {
      const lease = seen.get(node);
      return lease === undefined ? undefined : nowMs() - (steadyMs() - Math.max(lease.atMs, anewMs));
    },
  };
}
