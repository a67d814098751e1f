import type { BypassRecord } from '../api/bypass-record.ts';
import type { FailoverPolicy } from '../api/policy.ts';
import type { Reason } from '../api/reasons.ts';
import { earliestEndMs, lasts } from './bypass-history.ts';
import type { RedirectionState } from './netfilter/detach.ts';
import type { Observation } from './observation.ts';

/*
 *            proof of death, allowed                       good probes >= success-threshold,
 *   meshed ──────────────────────────▶ bypassed            kubelet agrees, min-bypass-duration over
 *     ▲  │                                │  ▲  ───────────────────────────▶ meshed
 *     │  │ proof of death, refused        │  │
 *     │  └──────────▶ blocked ◀───────────┘  │ the switch works at the next try
 *     │                  │   not allowed any │
 *     └──────────────────┴───────────────────┘
 *       sidecar healthy
 *
 * Planned ends beat proof, proof beats suspicion, unknown changes nothing.
 */

/** Everything a decision rests on. */
export interface Snapshot {
  readonly policy: FailoverPolicy;
  /** Why what happens is planned; undefined when it is not. */
  readonly planned: string | undefined;
  readonly consent: Consent;
  readonly observation: Observation;
  /** Good probes in a row, the last one included. */
  readonly goodProbes: number;
  /** Whether kubelet, too, calls the sidecar ready: until then a restored pod would leave its Service. */
  readonly kubeletAgrees: boolean;
  /** False when every container of the application is known not to run: then there is nothing to bypass to. */
  readonly appRuns: boolean;
  readonly redirection: RedirectionState;
  /** The running or the last bypass of this pod. */
  readonly record: BypassRecord | undefined;
  /** The last try to switch, when it failed and nothing was well since. */
  readonly switchFailure: SwitchFailure | undefined;
  /** What was last decided of a pod that had no working path; undefined when it had one. */
  readonly blocked: Pick<Decision, 'reason' | 'message'> | undefined;
}

/** Whether a bypass may suspend what protects the pod. */
export type Consent = { readonly allowed: true } | { readonly allowed: false; readonly why: string };

export interface SwitchFailure {
  readonly verb: 'detach' | 'restore';
  readonly why: string;
  /** Not tried again before this time; ms since the epoch. */
  readonly retryAtMs: number;
}

export interface Decision {
  readonly act: 'keep' | 'detach' | 'restore';
  /** What traffic does once the act is done; undefined: as it is, since too little is known. */
  readonly traffic: 'meshed' | 'bypassed' | 'blocked' | undefined;
  readonly reason: Reason;
  readonly message: string;
  /** When to decide again even if nothing happens; ms. */
  readonly recheckMs?: number;
}

type Rule = (snapshot: Snapshot, nowMs: number) => Decision | undefined;

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

/** How long to wait after a switch failed for the given number of times in a row, counted from 1; ms. */
export function switchRetryMs(failures: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20));
}

/** The first rule that answers decides; the array reads as the policy. */
const RULES: readonly Rule[] = [
  planned,
  rulesUnknown,
  switchedOff,
  proxyUnknown,
  deadWithItsApp,
  deadWhileObserved,
  deadAndRefused,
  deadAndBypassed,
  dead,
  notAllowedAnyMore,
  bypassedAndRecovered,
  bypassed,
  stillBlocked,
];

/** The decision for one pod: total and pure, the same in the agent and in whoever explains it. */
export function decide(snapshot: Snapshot, nowMs: number): Decision {
  for (const rule of RULES) {
    const decision = rule(snapshot, nowMs);
    if (decision !== undefined) return decision;
  }
  return { act: 'keep', traffic: 'meshed', reason: 'Meshed', message: 'traffic goes through the sidecar' };
}

function planned({ planned: why, redirection }: Snapshot): Decision | undefined {
  return why === undefined ? undefined : undecided(isCleared(redirection) ? 'ProxyBypassed' : 'Meshed', why);
}

/** A failed read is neither clean nor cleared. Only a death leaves no time for it, unless a bypass goes on: then the rules are taken for Istio's. */
function rulesUnknown({ policy, observation, redirection, record }: Snapshot): Decision | undefined {
  if (redirection !== 'unknown') return undefined;
  if (observation.proxy === 'dead' && policy.mode !== 'off' && !lasts(record)) return undefined;
  return undecided('ProxyUnknown', observation.proxy === 'unknown' ? observation.evidence : 'the rules of the pod could not be read');
}

function switchedOff(snapshot: Snapshot, nowMs: number): Decision | undefined {
  if (snapshot.policy.mode !== 'off') return undefined;
  const off = { traffic: 'meshed', reason: 'Meshed', message: 'failover is off for this pod' } as const;
  return isCleared(snapshot.redirection) ? restoring(snapshot, nowMs, off) : { act: 'keep', ...off };
}

/** A failed read is neither healthy nor dead. */
function proxyUnknown({ observation }: Snapshot): Decision | undefined {
  return observation.proxy === 'unknown' ? undecided('ProxyUnknown', observation.evidence) : undefined;
}

/** Sidecar and application both down, or both not started yet in a new sandbox: nothing is claimed. */
function deadWithItsApp({ observation, redirection, appRuns }: Snapshot): Decision | undefined {
  if (observation.proxy !== 'dead' || appRuns || isCleared(redirection)) return undefined;
  return undecided('ProxyDead', `${observation.evidence}, and no container of the application runs`);
}

function deadWhileObserved({ policy, observation, redirection, consent }: Snapshot): Decision | undefined {
  if (policy.mode !== 'observe' || observation.proxy !== 'dead' || isCleared(redirection)) return undefined;
  const would = consent.allowed ? 'would bypass the sidecar now' : `would refuse the bypass now: ${consent.why}`;
  return { act: 'keep', traffic: 'meshed', reason: 'Observing', message: `${would} (${observation.evidence})` };
}

function deadAndRefused(snapshot: Snapshot, nowMs: number): Decision | undefined {
  const { observation, redirection, consent } = snapshot;
  if (observation.proxy !== 'dead' || consent.allowed) return undefined;
  const refused = { traffic: 'blocked', reason: 'BypassRefused', message: `no bypass: ${consent.why} (${observation.evidence})` } as const;
  return isCleared(redirection) ? restoring(snapshot, nowMs, refused) : { act: 'keep', ...refused };
}

function deadAndBypassed({ observation, redirection }: Snapshot): Decision | undefined {
  if (observation.proxy !== 'dead' || redirection !== 'detached') return undefined;
  return bypassing('keep', observation.evidence);
}

function dead({ observation, switchFailure }: Snapshot, nowMs: number): Decision | undefined {
  if (observation.proxy !== 'dead') return undefined;
  if (switchFailure?.verb !== 'detach') return bypassing('detach', observation.evidence);
  return { ...retrying(switchFailure, nowMs), traffic: 'blocked', reason: 'SwitchFailed', message: `${switchFailure.why} (${observation.evidence})` };
}

/** The sidecar lives, but a bypass that nobody allows any more must not go on. */
function notAllowedAnyMore(snapshot: Snapshot, nowMs: number): Decision | undefined {
  const { redirection, consent } = snapshot;
  if (!isCleared(redirection) || consent.allowed) return undefined;
  return restoring(snapshot, nowMs, { traffic: 'meshed', reason: 'ProxyRestored', message: `the bypass ends: ${consent.why}` });
}

function bypassedAndRecovered(snapshot: Snapshot, nowMs: number): Decision | undefined {
  const { observation, redirection, goodProbes, kubeletAgrees, policy, record } = snapshot;
  if (!isCleared(redirection) || observation.proxy !== 'healthy' || goodProbes < policy['success-threshold'] || !kubeletAgrees) return undefined;
  const dueMs = record === undefined ? nowMs : earliestEndMs(policy, record, nowMs);
  if (dueMs > nowMs) {
    const due = new Date(Math.ceil(dueMs / 1000) * 1000).toISOString().replace('.000', '');
    return { ...bypassing('keep', `the sidecar answers again; restored at ${due} (min-bypass-duration)`), recheckMs: dueMs - nowMs };
  }
  return restoring(snapshot, nowMs, { traffic: 'meshed', reason: 'ProxyRestored', message: `${goodProbes} good probes in a row` });
}

/** Bypassed, and the sidecar not healthy for long enough: stays so, all of it. */
function bypassed({ redirection, observation, switchFailure }: Snapshot, nowMs: number): Decision | undefined {
  if (!isCleared(redirection)) return undefined;
  const stays = bypassing(redirection === 'partial' ? 'detach' : 'keep', observation.evidence);
  return stays.act === 'detach' && switchFailure?.verb === 'detach' ? { ...stays, ...retrying(switchFailure, nowMs) } : stays;
}

/** A sidecar that is only starting again serves nobody yet: what was blocked stays so until it answers. */
function stillBlocked({ policy, observation, blocked }: Snapshot): Decision | undefined {
  if (blocked === undefined || observation.proxy === 'healthy' || policy.mode === 'observe') return undefined;
  return { act: 'keep', traffic: 'blocked', reason: blocked.reason, message: blocked.message };
}

function undecided(reason: Reason, message: string): Decision {
  return { act: 'keep', traffic: undefined, reason, message };
}

function bypassing(act: 'keep' | 'detach', evidence: string): Decision {
  return {
    act,
    traffic: 'bypassed',
    reason: 'ProxyBypassed',
    message: `${evidence}; suspended while bypassed: mTLS, authorisation, and all traffic rules of the sidecar`,
  };
}

/** Puts the redirection back; `done` tells what is when that works. Until it does, traffic goes past the sidecar, whatever is wished. */
function restoring({ switchFailure }: Snapshot, nowMs: number, done: Pick<Decision, 'traffic' | 'reason' | 'message'>): Decision {
  if (switchFailure?.verb !== 'restore') return { act: 'restore', ...done };
  return { ...retrying(switchFailure, nowMs), traffic: 'bypassed', reason: 'RestoreFailed', message: `${switchFailure.why} (${done.message})` };
}

/** The same act again once its time has come, at once where the clock was set back. */
function retrying({ verb, retryAtMs }: SwitchFailure, nowMs: number): Pick<Decision, 'act' | 'recheckMs'> {
  const waitMs = retryAtMs - nowMs;
  return waitMs <= 0 || waitMs > LAST_RETRY_MS ? { act: verb } : { act: 'keep', recheckMs: waitMs };
}

function isCleared(redirection: RedirectionState): boolean {
  return redirection === 'detached' || redirection === 'partial';
}
