import type { Logger } from './logger.ts';

/** One step of a shutdown, named for the log. */
export interface Stop {
  readonly name: string;
  readonly stop: () => Promise<void> | void;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * On the first SIGTERM or SIGINT runs the stops in order, all within `boundMs` (default 20 s, below the 30 s that Kubernetes waits), then exits 0;
 * exits 1 when the bound was hit. A stop that throws is logged, and the next one runs. A second signal exits at once with 128 + its number.
 */
export function onShutdown(stops: readonly Stop[], options: { readonly log: Logger; readonly boundMs?: number }): void {
  const { log, boundMs = 20_000 } = options;
  let stopping = false;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143);
      stopping = true;
      log.info('stopping', { signal });
      void stopAll(stops, log, boundMs).then((inTime) => process.exit(inTime ? 0 : 1));
    });
  }
}

async function stopAll(stops: readonly Stop[], log: Logger, boundMs: number): Promise<boolean> {
  let current = '';
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => {
      log.error('did not stop in time', { waitingFor: current, boundMs });
      resolve(false);
    }, boundMs);
  });
  const all = (async () => {
    for (const { name, stop } of stops) {
      current = name;
      try {
        await stop();
      } catch (error) {
        log.error('stop failed', { name, error });
      }
    }
    log.info('stopped');
    return true;
  })();
  const inTime = await Promise.race([all, bound]);
  clearTimeout(timer);
  return inTime;
}
