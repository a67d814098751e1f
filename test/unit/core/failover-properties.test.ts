import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { BypassRecord } from '../../../src/api/bypass-record.ts';
import { policyOf } from '../../../src/api/policy.ts';
import { REASONS } from '../../../src/api/reasons.ts';
import { endRecord, lasts, startRecord } from '../../../src/core/bypass-history.ts';
import { decide, type Snapshot, type SwitchFailure } from '../../../src/core/failover.ts';
import type { RedirectionState } from '../../../src/core/netfilter/detach.ts';
import type { Observation } from '../../../src/core/observation.ts';
import { makeSnapshot, NOW_MS, running, seen } from '../../support/snapshot.ts';

const PROXY: readonly Observation['proxy'][] = ['healthy', 'dead', 'unresponsive', 'starting', 'unknown'];
const REDIRECTION: readonly RedirectionState[] = ['attached', 'detached', 'partial', 'absent', 'unknown'];
const REFUSED = { allowed: false, why: 'no' } as const;

const failure = fc.record({
  verb: fc.constantFrom<SwitchFailure['verb']>('detach', 'restore'),
  why: fc.string(),
  retryAtMs: fc.integer({ min: -100_000, max: 100_000 }).map((ms) => NOW_MS + ms),
});
const record: fc.Arbitrary<BypassRecord> = fc
  .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 1, max: 1000 }), fc.boolean())
  .map(([forMs, entries, ended]) => (ended ? { ...running(forMs, entries), until: new Date(NOW_MS).toISOString() } : running(forMs, entries)));

const snapshots: fc.Arbitrary<Snapshot> = fc
  .record({
    policy: fc.record({ mode: fc.constantFrom('enforce', 'observe', 'off'), 'success-threshold': fc.constantFrom('1', '3', '100') }).map(policyOf),
    planned: fc.option(fc.constant('the pod is being deleted'), { nil: undefined, freq: 4 }),
    consent: fc.constantFrom<Snapshot['consent']>({ allowed: true }, REFUSED),
    observation: fc.constantFrom(...PROXY).map(seen),
    goodProbes: fc.integer({ min: 0, max: 200 }),
    kubeletAgrees: fc.boolean(),
    appRuns: fc.boolean(),
    redirection: fc.constantFrom(...REDIRECTION),
    record: fc.option(record, { nil: undefined }),
    switchFailure: fc.option(failure, { nil: undefined }),
    blocked: fc.option(fc.constant({ reason: 'BypassRefused', message: 'no' } as const), { nil: undefined }),
  })
  .map((change) => makeSnapshot(change));

/** Holds the sentence against any snapshot that is changed as given. */
function always(change: Partial<Snapshot>, holds: (decision: ReturnType<typeof decide>, snapshot: Snapshot) => void): void {
  fc.assert(
    fc.property(snapshots, (any) => {
      const snapshot = { ...any, ...change };
      holds(decide(snapshot, NOW_MS), snapshot);
    }),
    { numRuns: 1000 },
  );
}

describe('whatever else is the case', () => {
  test('there is a decision, with a documented reason, and a time to look again that a timer can take', () => {
    always({}, ({ act, reason, message, recheckMs = 1 }) => {
      expect(['keep', 'detach', 'restore']).toContain(act);
      expect(Object.keys(REASONS)).toContain(reason);
      expect(message).not.toBe('');
      expect(recheckMs > 0 && recheckMs <= 300_000).toBe(true);
    });
  });

  test('unknown never switches past the sidecar', () => {
    always({ observation: seen('unknown') }, ({ act }) => expect(act).not.toBe('detach'));
  });

  test('with failover on, unknown switches nothing at all', () => {
    always({ observation: seen('unknown'), policy: policyOf({}) }, ({ act, traffic }) => expect([act, traffic]).toEqual(['keep', undefined]));
  });

  test('unknown rules never restore', () => {
    always({ redirection: 'unknown' }, ({ act }) => expect(act).not.toBe('restore'));
  });

  test('planned never switches', () => {
    always({ planned: 'the pod is being deleted' }, ({ act, traffic }) => expect([act, traffic]).toEqual(['keep', undefined]));
  });

  test('refused consent never detaches, nor leaves a bypass that could be ended', () => {
    always({ consent: REFUSED }, ({ act }) => expect(act).not.toBe('detach'));
  });

  test('a pod that is said to be meshed or blocked has no cleared rules, or they are being put back', () => {
    always({ redirection: 'detached' }, ({ act, traffic }) => {
      expect(traffic === undefined || traffic === 'bypassed' || act === 'restore').toBe(true);
    });
  });

  test.each(['healthy', 'unresponsive', 'starting'] as const)('a sidecar that is %s never costs a meshed pod its redirection', (proxy) => {
    always({ observation: seen(proxy), redirection: 'attached' }, ({ act }) => expect(act).toBe('keep'));
  });

  test('observe never touches attached rules', () => {
    always({ policy: policyOf({ mode: 'observe' }), redirection: 'attached' }, ({ act }) => expect(act).toBe('keep'));
  });

  test('a failed switch is not tried before its time', () => {
    const switchFailure = { verb: 'detach', why: 'no', retryAtMs: NOW_MS + 10 } as const;
    always({ switchFailure }, ({ act }) => expect(act).not.toBe('detach'));
  });
});

test('in any history of 10,000 steps, two restores lie at least min-bypass-duration apart, and it doubles', () => {
  const steps = fc.array(fc.record({ afterMs: fc.integer({ min: 1, max: 3000 }), proxy: fc.constantFrom(...PROXY), works: fc.boolean() }), {
    minLength: 10_000,
    maxLength: 10_000,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (history) => {
      const restores = simulate(history);
      expect(restores.length).toBeGreaterThan(5);
      for (const [index, restore] of restores.entries()) {
        expect(restore.bypassedMs).toBeGreaterThanOrEqual(Math.min(10_000 * 2 ** (restore.entries - 1), 300_000));
        expect(restore.atMs - (restores[index - 1]?.atMs ?? 0)).toBeGreaterThanOrEqual(10_000);
      }
    }),
    { numRuns: 2 },
  );
});

interface Step {
  readonly afterMs: number;
  readonly proxy: Observation['proxy'];
  /** Whether a switch works at that moment. */
  readonly works: boolean;
}

/** The life of one pod under a sidecar that does what it likes: every restore, with how long the bypass lasted. */
function simulate(history: readonly Step[]): readonly { readonly atMs: number; readonly bypassedMs: number; readonly entries: number }[] {
  const restores: { atMs: number; bypassedMs: number; entries: number }[] = [];
  let nowMs = NOW_MS;
  let redirection: RedirectionState = 'attached';
  let goodProbes = 0;
  let state: BypassRecord | undefined;
  let switchFailure: SwitchFailure | undefined;
  for (const { afterMs, proxy, works } of history) {
    nowMs += afterMs;
    goodProbes = proxy === 'healthy' ? goodProbes + 1 : 0;
    const policy = policyOf({ 'success-threshold': '1' });
    const { act } = decide(makeSnapshot({ policy, observation: seen(proxy), goodProbes, redirection, record: state, switchFailure }), nowMs);
    if (act === 'keep') continue;
    switchFailure = works ? undefined : { verb: act, why: 'no', retryAtMs: nowMs + 1000 };
    if (!works) continue;
    redirection = act === 'detach' ? 'detached' : 'attached';
    if (act === 'detach' && !lasts(state)) state = startRecord(state, { nowMs, bootID: 'boot-1', tlsMode: null });
    if (act === 'restore' && state !== undefined) {
      restores.push({ atMs: nowMs, bypassedMs: nowMs - Date.parse(state.since), entries: state.entries });
      state = endRecord(state, nowMs);
    }
  }
  return restores;
}
