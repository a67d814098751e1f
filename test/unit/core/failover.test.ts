import { describe, expect, test } from '@jest/globals';
import { policyOf } from '../../../src/api/policy.ts';
import { decide, switchRetryMs, type Decision, type Snapshot, type SwitchFailure } from '../../../src/core/failover.ts';
import { makeSnapshot, NOW_MS, running, seen } from '../../support/snapshot.ts';

const REFUSED = { allowed: false, why: 'nobody allowed it' } as const;
const DEAD = seen('dead');
const OBSERVE = policyOf({ mode: 'observe' });
const OFF = policyOf({ mode: 'off' });
const failed = (verb: SwitchFailure['verb'], retryInMs: number): SwitchFailure => ({ verb, why: 'iptables said no', retryAtMs: NOW_MS + retryInMs });
const LONG = running(60_000);
const BLOCKED = { reason: 'BypassRefused', message: 'no bypass: nobody allowed it' } as const;

type Row = readonly [sentence: string, snapshot: Partial<Snapshot>, want: Partial<Record<keyof Decision, unknown>>];

const UNKNOWN: readonly Row[] = [
  ['sockets that cannot be read change nothing', { observation: seen('unknown') }, { act: 'keep', traffic: undefined, reason: 'ProxyUnknown' }],
  ['nor do they end a bypass', { observation: seen('unknown'), redirection: 'detached', record: LONG }, { act: 'keep', traffic: undefined }],
  ['rules that cannot be read are not said to be Istio’s, though the sidecar answers', { redirection: 'unknown' }, { act: 'keep', traffic: undefined }],
  ['nor with failover off', { redirection: 'unknown', policy: OFF }, { act: 'keep', traffic: undefined }],
  ['nor for a dead sidecar with failover off', { redirection: 'unknown', policy: OFF, observation: DEAD }, { act: 'keep', traffic: undefined }],
  ['nor for a dead sidecar while a bypass goes on', { redirection: 'unknown', observation: DEAD, record: LONG }, { act: 'keep', traffic: undefined }],
  ['nor is that bypass called refused', { redirection: 'unknown', observation: DEAD, record: LONG, consent: REFUSED }, { act: 'keep', traffic: undefined }],
  ['a death leaves no time: unread rules are taken for Istio’s', { redirection: 'unknown', observation: DEAD }, { act: 'detach', traffic: 'bypassed' }],
];

const PLANNED: readonly Row[] = [
  ['a pod that is being deleted is not switched', { planned: 'the pod is being deleted', observation: DEAD }, { act: 'keep', traffic: undefined }],
  ['nor is its bypass ended', { planned: 'deleted', redirection: 'detached', record: LONG }, { act: 'keep', traffic: undefined, reason: 'ProxyBypassed' }],
  ['nor with failover off', { planned: 'deleted', redirection: 'detached', policy: OFF }, { act: 'keep', traffic: undefined }],
];

const DEATHS: readonly Row[] = [
  ['a dead sidecar is bypassed', { observation: DEAD }, { act: 'detach', traffic: 'bypassed', reason: 'ProxyBypassed' }],
  [
    'a bypass that is there is kept',
    { observation: DEAD, redirection: 'detached', record: LONG },
    { act: 'keep', traffic: 'bypassed', reason: 'ProxyBypassed' },
  ],
  ['half a bypass is completed', { observation: DEAD, redirection: 'partial', record: LONG }, { act: 'detach', traffic: 'bypassed', reason: 'ProxyBypassed' }],
  ['without consent the gate closes', { observation: DEAD, consent: REFUSED }, { act: 'keep', traffic: 'blocked', reason: 'BypassRefused' }],
  [
    'consent withdrawn: the bypass ends',
    { observation: DEAD, consent: REFUSED, redirection: 'detached' },
    { act: 'restore', traffic: 'blocked', reason: 'BypassRefused' },
  ],
  ['so does half a bypass', { observation: DEAD, consent: REFUSED, redirection: 'partial' }, { act: 'restore', traffic: 'blocked' }],
  ['observed: reported, not done', { observation: DEAD, policy: OBSERVE }, { act: 'keep', traffic: 'meshed', reason: 'Observing' }],
  [
    'observed without consent: that, too, is reported',
    { observation: DEAD, policy: OBSERVE, consent: REFUSED },
    { act: 'keep', traffic: 'meshed', reason: 'Observing' },
  ],
  [
    'observed from now on: the bypass that is there stays',
    { observation: DEAD, policy: OBSERVE, redirection: 'detached' },
    { act: 'keep', traffic: 'bypassed' },
  ],
  ['failover off: left alone', { observation: DEAD, policy: OFF }, { act: 'keep', traffic: 'meshed', reason: 'Meshed' }],
  ['failover off during a bypass: it ends', { observation: DEAD, policy: OFF, redirection: 'detached', record: LONG }, { act: 'restore', traffic: 'meshed' }],
  ['failover off, and nothing can be observed: it ends', { observation: seen('unknown'), policy: OFF, redirection: 'detached' }, { act: 'restore' }],
  ['sidecar and application both dead: nothing is claimed', { observation: DEAD, appRuns: false }, { act: 'keep', traffic: undefined }],
  ['the application dies during a bypass: it stays', { observation: DEAD, appRuns: false, redirection: 'detached' }, { act: 'keep', traffic: 'bypassed' }],
  ['a sidecar that is only slow is not bypassed', { observation: seen('unresponsive') }, { act: 'keep', traffic: 'meshed', reason: 'Meshed' }],
  ['a sidecar that was never up is not dead', { observation: seen('starting') }, { act: 'keep', traffic: 'meshed', reason: 'Meshed' }],
];

const FAILURES: readonly Row[] = [
  [
    'a switch that failed leaves the pod blocked',
    { observation: DEAD, switchFailure: failed('detach', 400) },
    { act: 'keep', traffic: 'blocked', reason: 'SwitchFailed', recheckMs: 400 },
  ],
  ['it is tried again in time', { observation: DEAD, switchFailure: failed('detach', 0) }, { act: 'detach', traffic: 'blocked', reason: 'SwitchFailed' }],
  ['at once when the clock was set back', { observation: DEAD, switchFailure: failed('detach', 3_600_000) }, { act: 'detach' }],
  [
    'a restore that failed before is no reason to wait with a bypass',
    { observation: DEAD, switchFailure: failed('restore', 400) },
    { act: 'detach', traffic: 'bypassed' },
  ],
  [
    'a failed restore leaves the bypass',
    { redirection: 'detached', record: LONG, switchFailure: failed('restore', 400) },
    { act: 'keep', traffic: 'bypassed', reason: 'RestoreFailed', recheckMs: 400 },
  ],
  [
    'it is tried again in time',
    { redirection: 'detached', record: LONG, switchFailure: failed('restore', -1) },
    { act: 'restore', traffic: 'bypassed', reason: 'RestoreFailed' },
  ],
  [
    'a detach that failed before is no reason to wait with the restore',
    { redirection: 'detached', record: LONG, switchFailure: failed('detach', 400) },
    { act: 'restore', traffic: 'meshed' },
  ],
  [
    'traffic still passes by when the refusal cannot be carried out',
    { observation: DEAD, consent: REFUSED, redirection: 'detached', switchFailure: failed('restore', 400) },
    { act: 'keep', traffic: 'bypassed', reason: 'RestoreFailed', recheckMs: 400 },
  ],
  [
    'nor when switching off cannot',
    { policy: OFF, redirection: 'detached', switchFailure: failed('restore', 0) },
    { act: 'restore', traffic: 'bypassed', reason: 'RestoreFailed' },
  ],
  [
    'half a bypass that cannot be completed is not tried at every look',
    { observation: seen('unresponsive'), redirection: 'partial', switchFailure: failed('detach', 400) },
    { act: 'keep', traffic: 'bypassed', recheckMs: 400 },
  ],
];

const RECOVERIES: readonly Row[] = [
  ['healthy for long enough: restored', { redirection: 'detached', record: LONG }, { act: 'restore', traffic: 'meshed', reason: 'ProxyRestored' }],
  ['too few good probes: not yet', { redirection: 'detached', record: LONG, goodProbes: 2 }, { act: 'keep', traffic: 'bypassed' }],
  ['kubelet does not call it ready: not yet', { redirection: 'detached', record: LONG, kubeletAgrees: false }, { act: 'keep', traffic: 'bypassed' }],
  ['only slow: not yet', { redirection: 'detached', record: LONG, observation: seen('unresponsive') }, { act: 'keep', traffic: 'bypassed' }],
  [
    'before min-bypass-duration is over: not yet, and it says when',
    { redirection: 'detached', record: running(4_000) },
    { act: 'keep', traffic: 'bypassed', recheckMs: 6_000, message: expect.stringContaining('2026-03-01T12:00:06Z') },
  ],
  [
    'the second bypass in a row lasts twice as long',
    { redirection: 'detached', record: running(15_000, 2) },
    { act: 'keep', traffic: 'bypassed', recheckMs: 5_000 },
  ],
  ['the hundredth no longer than 5 min', { redirection: 'detached', record: running(299_000, 100) }, { act: 'keep', traffic: 'bypassed', recheckMs: 1_000 }],
  ['a record of the future holds nothing up', { redirection: 'detached', record: running(-3_600_000) }, { act: 'restore', traffic: 'meshed' }],
  ['rules that are cleared without a record are put back', { redirection: 'detached' }, { act: 'restore', traffic: 'meshed' }],
  [
    'consent withdrawn while it lives: restored whatever the time',
    { redirection: 'detached', record: running(1), consent: REFUSED, observation: seen('unresponsive') },
    { act: 'restore', traffic: 'meshed', reason: 'ProxyRestored' },
  ],
  ['restored also when only observed from now on', { policy: OBSERVE, redirection: 'detached', record: LONG }, { act: 'restore', traffic: 'meshed' }],
];

const BLOCKS: readonly Row[] = [
  ['a blocked pod stays so while its sidecar starts', { observation: seen('starting'), blocked: BLOCKED }, { act: 'keep', traffic: 'blocked', ...BLOCKED }],
  ['and while it does not answer as it should', { observation: seen('unresponsive'), blocked: BLOCKED }, { act: 'keep', traffic: 'blocked', ...BLOCKED }],
  ['until it is healthy', { blocked: BLOCKED }, { act: 'keep', traffic: 'meshed', reason: 'Meshed' }],
  [
    'or nothing is to be changed any more',
    { observation: seen('starting'), blocked: BLOCKED, policy: OBSERVE },
    { act: 'keep', traffic: 'meshed', reason: 'Meshed' },
  ],
  ['or failover is off', { observation: seen('starting'), blocked: BLOCKED, policy: OFF }, { act: 'keep', traffic: 'meshed', reason: 'Meshed' }],
  ['once allowed, it is bypassed', { observation: DEAD, blocked: BLOCKED }, { act: 'detach', traffic: 'bypassed' }],
];

describe.each([
  ['unknown', UNKNOWN],
  ['planned', PLANNED],
  ['a switch that fails', FAILURES],
  ['a death', DEATHS],
  ['blocked', BLOCKS],
  ['a recovery', RECOVERIES],
])('%s', (_, rows) => {
  test.each(rows)('%s', (_sentence, change, want) => {
    const decision = decide(makeSnapshot(change), NOW_MS);
    expect(decision).toMatchObject(want);
    expect(decision.recheckMs).toBe(want.recheckMs);
  });
});

test('a healthy meshed pod is left as it is', () => {
  expect(decide(makeSnapshot(), NOW_MS)).toEqual({ act: 'keep', traffic: 'meshed', reason: 'Meshed', message: 'traffic goes through the sidecar' });
});

test('the message of a refusal says why, and what was seen', () => {
  const { message } = decide(makeSnapshot({ observation: DEAD, consent: REFUSED }), NOW_MS);
  expect(message).toBe('no bypass: nobody allowed it (nothing in the pod listens on 15021 and 15006 any more)');
});

test.each([
  [1, 1000],
  [2, 2000],
  [5, 16_000],
  [6, 30_000],
  [10_000, 30_000],
])('after %d failures in a row the next try waits %d ms', (failures, ms) => {
  expect(switchRetryMs(failures)).toBe(ms);
});
