import type { Summary } from '../measure/series.ts';

/** How the arm with hot-switch came through. */
export interface Outcome {
  readonly clients: readonly { readonly name: string; readonly summary: Summary }[];
  readonly appRestarts: number;
  /** How often its sidecar was killed. */
  readonly kills: number;
  readonly bypassed: boolean;
  readonly restored: boolean;
}

/** Generous: what fails here is broken, not slow. The machine may be busy with other things. */
const MAX_OUTAGE_MS = 5000;
const MAX_FAILED_SHARE = 0.05;

/** Why the demo did not show what hot-switch promises, in one sentence; undefined when it did. */
export function brokenPromise({ clients, appRestarts, kills, bypassed, restored }: Outcome): string | undefined {
  if (kills === 0) return 'No sidecar was killed: the demo shows nothing.';
  if (!bypassed) return 'hot-switch did not bypass the dead sidecar.';
  if (appRestarts > 0) return `The application was restarted ${appRestarts === 1 ? 'once' : `${appRestarts} times`} although hot-switch watched over it.`;
  const unserved = clients.find(
    ({ summary }) => summary.outageOpen || summary.longestOutageMs > MAX_OUTAGE_MS || summary.failures > summary.requests * MAX_FAILED_SHARE,
  );
  if (unserved !== undefined) {
    const { failures, requests, longestOutageMs } = unserved.summary;
    const seconds = (longestOutageMs / 1000).toFixed(1);
    return `The ${unserved.name} was not kept served with hot-switch: ${failures} of ${requests} requests failed, the longest outage lasted ${seconds} s.`;
  }
  if (clients.some(({ summary }) => summary.requests === 0)) return 'A load client sent nothing: the demo shows nothing.';
  if (!restored) return 'hot-switch did not put the traffic back through the sidecar in time.';
  return undefined;
}
