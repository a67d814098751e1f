/** An abort signal that fires with its parent, or when `expire` was set and nobody moved or lifted it in time. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Whether time ran out (and not the parent). */
  readonly expired: boolean;
  /** From now on `ms` counts, anew from each call. */
  renew(ms: number): void;
  /** Ends the request: nothing more is to come. */
  abort(): void;
  /** Frees timer and listener; call it once the request is over. */
  release(): void;
}

export function createDeadline(ms: number, parent: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  let expired = false;
  let currentMs = ms;
  const onTime = (): void => {
    expired = true;
    controller.abort();
  };
  const onParent = (): void => controller.abort();
  let timer = setTimeout(onTime, ms);
  if (parent?.aborted === true) controller.abort();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    renew: (nextMs) => {
      if (controller.signal.aborted) return;
      if (nextMs === currentMs) {
        timer.refresh();
        return;
      }
      currentMs = nextMs;
      clearTimeout(timer);
      timer = setTimeout(onTime, nextMs);
    },
    abort: () => controller.abort(),
    release: () => {
      clearTimeout(timer);
      parent?.removeEventListener('abort', onParent);
    },
  };
}
