import { parseBypassRecord, type BypassRecord } from '../api/bypass-record.ts';
import { TLS_MODE_LABEL } from '../api/istio.ts';
import { BYPASS_RECORD } from '../api/keys.ts';
import type { FailoverPolicy } from '../api/policy.ts';
import type { Pod } from './pod.ts';

/** After this time without a bypass the next one counts as the first again; ms. */
export const QUIET_MS = 600_000;

const MAX_BYPASS_MS = 300_000;
/** As the record's schema says. */
const MAX_ENTRIES = 1000;

/** Whether the record is that of a bypass that goes on. */
export function lasts(record: BypassRecord | undefined): record is BypassRecord {
  return record !== undefined && record.until === undefined;
}

/** The record that a pod carries, for an agent that was started again. Rules do not survive a boot: a bypass of an earlier one is over. */
export function recordOf(pod: Pod, bootID: string, nowMs: number): BypassRecord | undefined {
  const record = parseBypassRecord(pod.metadata.annotations?.[BYPASS_RECORD]);
  return record?.bootID === bootID ? record : endRecord(record, nowMs);
}

/** The record of a bypass that starts now. `tlsMode` is the label as found, null when there is none. */
export function startRecord(
  previous: BypassRecord | undefined,
  facts: { readonly nowMs: number; readonly bootID: string; readonly tlsMode: string | null },
): BypassRecord {
  const since = new Date(facts.nowMs).toISOString();
  const recent = previous?.until !== undefined && facts.nowMs - Date.parse(previous.until) < QUIET_MS;
  return { since, bootID: facts.bootID, tlsMode: facts.tlsMode, entries: recent ? Math.min(previous.entries + 1, MAX_ENTRIES) : 1 };
}

/** The record of the same bypass, ended now; what has ended stays as it is. The keys in the order of the schema: equal records give equal texts. */
export function endRecord(record: BypassRecord | undefined, nowMs: number): BypassRecord | undefined {
  if (!lasts(record)) return record;
  const { since, ...rest } = record;
  return { since, until: new Date(nowMs).toISOString(), ...rest };
}

/**
 * Istio's own value of the label tlsMode, null for none: while the pod carries the record of a bypass that goes on, the label is ours, and the
 * record holds Istio's. Label and record come from one write, so that this is right however old this view of the pod is.
 */
export function tlsModeOf(pod: Pod): string | null {
  const written = parseBypassRecord(pod.metadata.annotations?.[BYPASS_RECORD]);
  return lasts(written) ? written.tlsMode : (pod.metadata.labels?.[TLS_MODE_LABEL] ?? null);
}

/** When a bypass may end at the earliest, ms since the epoch: `min-bypass-duration` doubles at every re-entry, up to 5 min. */
export function earliestEndMs(policy: FailoverPolicy, record: BypassRecord, nowMs: number): number {
  const sinceMs = Date.parse(record.since);
  // A clock that was set back, or a record that somebody changed, must not hold a bypass for years.
  return sinceMs > nowMs ? nowMs : sinceMs + minBypassMs(policy, record.entries);
}

function minBypassMs(policy: FailoverPolicy, entries: number): number {
  const firstMs = policy['min-bypass-duration'];
  return Math.min(firstMs * 2 ** Math.min(entries - 1, 20), Math.max(MAX_BYPASS_MS, firstMs));
}
