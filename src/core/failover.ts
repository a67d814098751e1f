import type { BypassRecord } from '../api/bypass-record.ts';
import type { FailoverPolicy } from '../api/policy.ts';
import type { Reason } from '../api/reasons.ts';
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
  readonly redirection: RedirectionState;
  /** The running or the last bypass of this pod. */
  readonly record: BypassRecord | undefined;
  /** Why the last try to switch failed, if it did and nothing changed since. */
  readonly switchFailure: string | undefined;
  /** What was last decided of a pod that had no working path; undefined when it had one. */
  readonly blocked: Pick<Decision, 'reason' | 'message'> | undefined;
}

/** Whether a bypass may suspend what protects the pod. */
export type Consent = { readonly allowed: true } | { readonly allowed: false; readonly why: string };

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

/** A failed switch is tried again at this pace; ms. */
export const SWITCH_RETRY_MS = 1000;

/** The first rule that answers decides; the array reads as the policy. */
const RULES: readonly Rule[] = [
  planned,
  switchedOff,
  unknown,
  deadWhileObserved,
  deadAndRefused,
  deadAndBypassed,
  dead,
  notAllowedAnyMore,
  bypassedAndRecovered,
  bypassed,
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
  if (why === undefined) return undefined;
  const bypassed = isCleared(redirection);
  return { act: 'keep', traffic: undefined, reason: bypassed ? 'ProxyBypassed' : 'Meshed', message: why };
}

function switchedOff({ policy, redirection }: Snapshot): Decision | undefined {
  if (policy.mode !== 'off') return undefined;
  return { act: isCleared(redirection) ? 'restore' : 'keep', traffic: 'meshed', reason: 'Meshed', message: 'failover is off for this pod' };
}

/** A failed read is neither healthy nor dead, neither clean nor cleared. */
function unknown({ observation, redirection }: Snapshot): Decision | undefined {
  if (observation.proxy === 'unknown') return { act: 'keep', traffic: undefined, reason: 'ProxyUnknown', message: observation.evidence };
  if (redirection === 'unknown' && observation.proxy !== 'dead') {
    return { act: 'keep', traffic: undefined, reason: 'ProxyUnknown', message: 'the rules of the pod could not be read' };
  }
  return undefined;
}

function deadWhileObserved({ policy, observation, redirection, consent }: Snapshot): Decision | undefined {
  if (policy.mode !== 'observe' || observation.proxy !== 'dead' || isCleared(redirection)) return undefined;
  const would = consent.allowed ? 'would bypass the sidecar now' : `would refuse the bypass now: ${consent.why}`;
  return { act: 'keep', traffic: 'meshed', reason: 'Observing', message: `${would} (${observation.evidence})` };
}

function deadAndRefused({ observation, redirection, consent }: Snapshot): Decision | undefined {
  if (observation.proxy !== 'dead' || consent.allowed) return undefined;
  const message = `no bypass: ${consent.why} (${observation.evidence})`;
  return { act: isCleared(redirection) ? 'restore' : 'keep', traffic: 'blocked', reason: 'BypassRefused', message };
}

function deadAndBypassed({ observation, redirection }: Snapshot): Decision | undefined {
  if (observation.proxy !== 'dead' || redirection !== 'detached') return undefined;
  return bypassing('keep', observation.evidence);
}

function dead({ observation, switchFailure }: Snapshot): Decision | undefined {
  if (observation.proxy !== 'dead') return undefined;
  if (switchFailure === undefined) return bypassing('detach', observation.evidence);
  return { act: 'detach', traffic: 'blocked', reason: 'SwitchFailed', message: `${switchFailure} (${observation.evidence})`, recheckMs: SWITCH_RETRY_MS };
}

/** The sidecar lives, but a bypass that nobody allows any more must not go on. */
function notAllowedAnyMore({ redirection, consent }: Snapshot): Decision | undefined {
  if (!isCleared(redirection) || consent.allowed) return undefined;
  return { act: 'restore', traffic: 'meshed', reason: 'ProxyRestored', message: `the bypass ends: ${consent.why}` };
}

function bypassedAndRecovered(
  { observation, redirection, goodProbes, kubeletAgrees, policy, record, switchFailure }: Snapshot,
  nowMs: number,
): Decision | undefined {
  if (!isCleared(redirection) || observation.proxy !== 'healthy' || goodProbes < policy['success-threshold'] || !kubeletAgrees) return undefined;
  const dueMs = record === undefined ? nowMs : Date.parse(record.since) + minBypassMs(policy, record.entries);
  if (dueMs > nowMs) {
    const due = new Date(Math.ceil(dueMs / 1000) * 1000).toISOString().replace('.000', '');
    return { ...bypassing('keep', `the sidecar answers again; restored at ${due} (min-bypass-duration)`), recheckMs: dueMs - nowMs };
  }
  if (switchFailure === undefined) return { act: 'restore', traffic: 'meshed', reason: 'ProxyRestored', message: `${goodProbes} good probes in a row` };
  return { act: 'restore', traffic: 'bypassed', reason: 'RestoreFailed', message: switchFailure, recheckMs: SWITCH_RETRY_MS };
}

/** Bypassed, and the sidecar not healthy for long enough: stays so. */
function bypassed({ redirection, observation }: Snapshot): Decision | undefined {
  return isCleared(redirection) ? bypassing(redirection === 'partial' ? 'detach' : 'keep', observation.evidence) : undefined;
}

/** A sidecar that is only starting again serves nobody yet: what was blocked stays so until it answers. */
function stillBlocked({ observation, blocked }: Snapshot): Decision | undefined {
  if (blocked === undefined || observation.proxy === 'healthy') return undefined;
  return { act: 'keep', traffic: 'blocked', reason: blocked.reason, message: blocked.message };
}

function bypassing(act: 'keep' | 'detach', evidence: string): Decision {
  return {
    act,
    traffic: 'bypassed',
    reason: 'ProxyBypassed',
    message: `${evidence}; suspended while bypassed: mTLS, authorisation, and all traffic rules of the sidecar`,
  };
}

function isCleared(redirection: RedirectionState): boolean {
  return redirection === 'detached' || redirection === 'partial';
}

const MAX_BYPASS_MS = 300_000;

/** `min-bypass-duration` doubles at every re-entry, up to 5 min; ms. */
export function minBypassMs(policy: FailoverPolicy, entries: number): number {
  return Math.min(policy['min-bypass-duration'] * 2 ** Math.min(entries - 1, 20), Math.max(MAX_BYPASS_MS, policy['min-bypass-duration']));
}

/** After this time without a bypass the next one counts as the first again; ms. */
export const QUIET_MS = 600_000;

/** The record of a bypass that starts now. `tlsMode` is the label as found, null when there is none. */
export function startRecord(
  previous: BypassRecord | undefined,
  facts: { readonly nowMs: number; readonly bootID: string; readonly tlsMode: string | null },
): BypassRecord {
  const since = new Date(facts.nowMs).toISOString();
  const recent = previous?.until !== undefined && facts.nowMs - Date.parse(previous.until) < QUIET_MS;
  return { since, bootID: facts.bootID, tlsMode: facts.tlsMode, entries: recent ? Math.min(previous.entries + 1, 1000) : 1 };
}
