import { HEALTH_PORT } from '../api/istio.ts';
import type { ProbeResult } from '../core/observation.ts';
import { createHealthConnection } from './health-connection.ts';
import { whenRefused } from './refusal.ts';

/** Probes one sidecar over a held connection, at the pace of its policy, and tells when there is something new to see. */
export interface ProbeSchedule {
  /** The address that is probed. */
  readonly podIP: string;
  result(): ProbeResult;
  /** Good probes in a row, the last one included. */
  goodProbes(): number;
  stop(): Promise<void>;
}

export interface ProbeScheduleOptions {
  /** As the policy says at that time. */
  readonly pace: () => { readonly periodMs: number; readonly timeoutMs: number };
  /** Called at every result and, after the end of the connection, again and again: whoever hears it looks at the sockets. */
  readonly onNews: () => void;
  /** Called once, before the first onNews, when an established connection has ended: the first sign of a death. */
  readonly onEnd: () => void;
}

/**
 * After a connection ended, the kernel may take some tens of milliseconds to close the listeners of a dying process: the first look is when a new
 * connection is refused; these come all the same, since a network policy may swallow it; ms after the end.
 */
const DYING_MS = 60;
const LOOK_AGAIN_MS: readonly number[] = [10, 20, 50, 100, 250];

/** Starts to probe the address. */
export function createProbeSchedule(podIP: string, { pace, onNews, onEnd }: ProbeScheduleOptions): ProbeSchedule {
  let result: ProbeResult = { kind: 'none' };
  let goodProbes = 0;
  let probing = false;
  let ends = 0;
  let stopped = false;
  let probeTimer: NodeJS.Timeout | undefined;
  let lookTimer: NodeJS.Timeout | undefined;
  let refusal = new AbortController();
  const connection = createHealthConnection(podIP, ended);

  async function probe(): Promise<void> {
    if (probing || stopped) return;
    probing = true;
    clearTimeout(probeTimer);
    const wasGood = result.kind === 'ok';
    const endsBefore = ends;
    const answer = await connection.probe(pace().timeoutMs);
    probing = false;
    if (stopped) return;
    if (ends > endsBefore && (wasGood || answer.kind === 'ok')) {
      // A good connection that ended under its probe, or right after it: the probe that follows the last look tells more.
      result = { kind: 'ended' };
      if (lookTimer === undefined) void probe();
      return;
    }
    result = answer;
    goodProbes = answer.kind === 'ok' ? goodProbes + 1 : 0;
    probeTimer = setTimeout(() => void probe(), pace().periodMs);
    onNews();
  }

  function ended(): void {
    ends += 1;
    if (result.kind === 'ok') result = { kind: 'ended' };
    goodProbes = 0;
    clearTimeout(lookTimer);
    onEnd();
    lookAgain(performance.now(), LOOK_AGAIN_MS);
    lookWhenRefused();
  }

  function lookWhenRefused(): void {
    refusal.abort();
    refusal = new AbortController();
    void lookAfter(whenRefused(podIP, HEALTH_PORT, performance.now() + DYING_MS, refusal.signal));
  }

  async function lookAfter(refusedSoon: Promise<boolean>): Promise<void> {
    if ((await refusedSoon) && result.kind === 'ended') onNews();
  }

  function lookAgain(endedAtMs: number, [nextMs, ...later]: readonly number[]): void {
    if (nextMs === undefined) {
      lookTimer = undefined;
      if (result.kind === 'ended') void probe();
      return;
    }
    const look = (): void => {
      onNews();
      lookAgain(endedAtMs, later);
    };
    lookTimer = setTimeout(look, Math.max(0, endedAtMs + nextMs - performance.now()));
  }

  void probe();
  return {
    podIP,
    result: () => result,
    goodProbes: () => goodProbes,
    async stop() {
      stopped = true;
      clearTimeout(probeTimer);
      clearTimeout(lookTimer);
      refusal.abort();
      await connection.close();
    },
  };
}
