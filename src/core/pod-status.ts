import type { BypassRecord } from '../api/bypass-record.ts';
import { TLS_MODE_DISABLED, TLS_MODE_LABEL } from '../api/istio.ts';
import { BYPASSED, BYPASS_RECORD, PROXY_HEALTHY, TRAFFIC_LABEL, TRAFFIC_READY, type ConditionType } from '../api/keys.ts';
import type { Reason } from '../api/reasons.ts';
import { tlsModeOf } from './bypass-history.ts';
import type { Decision } from './failover.ts';
import { conditionOf, type Observation } from './observation.ts';
import type { Condition, Pod } from './pod.ts';

/** What the status of a pod should say, whatever it says now. */
export interface DesiredStatus {
  readonly decision: Decision;
  readonly observation: Observation;
  /** The running or last bypass. */
  readonly record: BypassRecord | undefined;
}

export interface StatusChange {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
  readonly conditions?: readonly Condition[];
}

/** Longest message of a condition that we write; the API server takes 32 KiB. */
const MAX_MESSAGE_LENGTH = 512;

/** What must be written so that the pod says what is desired; undefined when it says it already. lastTransitionTime moves only when a status flips. */
export function statusChange(pod: Pod, desired: DesiredStatus, nowMs: number): StatusChange | undefined {
  const wanted = labelsOf(pod, desired.decision);
  const annotations = changed(pod.metadata.annotations, annotationsOf(desired));
  // Label and record go together even where the label looks right: this view of the pod may be older than a write whose answer was lost.
  const labels = changed(pod.metadata.labels, wanted, annotations === undefined ? [] : [TLS_MODE_LABEL]);
  const conditions = conditionsOf(pod, desired)
    .filter((condition) => !isSame(conditionOf(pod, condition.type), condition))
    .map((condition) => withTime(conditionOf(pod, condition.type), condition, nowMs));
  if (labels === undefined && annotations === undefined && conditions.length === 0) return undefined;
  return { ...(labels && { labels }), ...(annotations && { annotations }), ...(conditions.length > 0 && { conditions }) };
}

function labelsOf(pod: Pod, { traffic }: Decision): Record<string, string | null> {
  if (traffic === undefined) return {};
  if (traffic === 'bypassed') return { [TRAFFIC_LABEL]: 'bypassed', [TLS_MODE_LABEL]: TLS_MODE_DISABLED };
  // Back to what was found, in the same write that ends the record. Without a record to end this is the label as it is: not ours to touch.
  return { [TRAFFIC_LABEL]: traffic, [TLS_MODE_LABEL]: tlsModeOf(pod) };
}

/** Never written without the label that it explains. */
function annotationsOf({ decision, record }: DesiredStatus): Record<string, string | null> {
  if (decision.traffic === undefined) return {};
  return { [BYPASS_RECORD]: record === undefined ? null : JSON.stringify(record) };
}

function conditionsOf(pod: Pod, { decision, observation }: DesiredStatus): readonly Condition[] {
  const health = healthCondition(observation);
  if (decision.traffic === undefined) {
    // Too little is known: what was said of traffic stays. Only a gate that was never opened must not wait for knowledge.
    const ready = conditionOf(pod, TRAFFIC_READY) === undefined ? [condition(TRAFFIC_READY, 'True', 'Meshed', decision.message)] : [];
    return [...ready, health];
  }
  return [
    condition(TRAFFIC_READY, decision.traffic === 'blocked' ? 'False' : 'True', decision.reason, decision.message),
    condition(BYPASSED, decision.traffic === 'bypassed' ? 'True' : 'False', decision.reason, decision.traffic === 'bypassed' ? decision.message : ''),
    health,
  ];
}

const HEALTH: Readonly<Record<Observation['proxy'], readonly [status: string, reason: Reason]>> = {
  healthy: ['True', 'ProxyHealthy'],
  dead: ['False', 'ProxyDead'],
  unresponsive: ['False', 'ProxyUnresponsive'],
  starting: ['Unknown', 'ProxyStarting'],
  unknown: ['Unknown', 'ProxyUnknown'],
};

function healthCondition(observation: Observation): Condition {
  const [status, reason] = HEALTH[observation.proxy];
  return condition(PROXY_HEALTHY, status, reason, observation.evidence);
}

function condition(type: ConditionType, status: string, reason: Reason, message: string): Condition {
  // A cut in the middle of a character would come back from the API server as another text, and be written for ever.
  return { type, status, reason, message: message.slice(0, MAX_MESSAGE_LENGTH).replaceAll(/\p{Surrogate}/gu, '\ufffd') };
}

function isSame(current: Condition | undefined, wanted: Condition): boolean {
  return current?.status === wanted.status && current.reason === wanted.reason && (current.message ?? '') === wanted.message;
}

function withTime(current: Condition | undefined, wanted: Condition, nowMs: number): Condition {
  const kept = current?.status === wanted.status ? current.lastTransitionTime : undefined;
  return { ...wanted, lastTransitionTime: kept ?? new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z') };
}

function changed(
  current: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string | null>>,
  always: readonly string[] = [],
): Record<string, string | null> | undefined {
  const entries = Object.entries(wanted).filter(([key, value]) => (current?.[key] ?? null) !== value || always.includes(key));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
