import { constants } from 'node:os';

/** Somebody ended the demo, or nobody reads it any more. */
export class Interrupted extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface Interruption {
  readonly signal: AbortSignal;
  /** Rejects with Interrupted; never resolves. */
  readonly interrupted: Promise<never>;
}

/** Turns Ctrl-C, the like, and a closed standard output into an Interrupted. */
export function endOnInterrupt(): Interruption {
  const controller = new AbortController();
  const { signal } = controller;
  const interrupted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Interrupted), { once: true }));
  interrupted.catch(() => undefined); // it may come when nobody waits any more
  const end = (reason: Interrupted): void => controller.abort(reason);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => end(new Interrupted('The demo was ended; its cluster is gone with it.', 128 + constants.signals[name])));
  }
  process.stdout.on('error', () => end(new Interrupted('Nobody reads the output any more: the demo ends.', 1)));
  return { signal, interrupted };
}
