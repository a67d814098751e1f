import type { BypassRecord } from '../../src/api/bypass-record.ts';
import { policyOf } from '../../src/api/policy.ts';
import type { Snapshot } from '../../src/core/failover.ts';
import type { Observation } from '../../src/core/observation.ts';

/** The time that snapshots of tests are judged at. */
export const NOW_MS = Date.parse('2026-03-01T12:00:00Z');

const EVIDENCE: Readonly<Record<Observation['proxy'], string>> = {
  healthy: 'port 15021 answers',
  dead: 'nothing in the pod listens on 15021 and 15006 any more',
  unresponsive: 'port 15021: answered 503',
  starting: 'port 15021: ECONNREFUSED',
  unknown: 'the sockets of the pod could not be read: EACCES',
};

export function seen(proxy: Observation['proxy']): Observation {
  return { proxy, evidence: EVIDENCE[proxy] };
}

/** The record of a bypass that has lasted for the given time. */
export function running(forMs: number, entries = 1): BypassRecord {
  return { since: new Date(NOW_MS - forMs).toISOString(), bootID: 'boot-1', tlsMode: 'istio', entries };
}

/** A healthy meshed pod where everything is allowed, but for what is given. */
export function makeSnapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    policy: policyOf({}),
    planned: undefined,
    consent: { allowed: true },
    observation: seen('healthy'),
    goodProbes: 3,
    kubeletAgrees: true,
    appRuns: true,
    redirection: 'attached',
    record: undefined,
    switchFailure: undefined,
    blocked: undefined,
    ...change,
  };
}
