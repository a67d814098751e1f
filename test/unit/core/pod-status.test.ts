import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { BYPASS_RECORD, TRAFFIC_LABEL } from '../../../src/api/keys.ts';
import { REASONS, type Reason } from '../../../src/api/reasons.ts';
import { endRecord } from '../../../src/core/bypass-history.ts';
import type { Decision } from '../../../src/core/failover.ts';
import type { Observation } from '../../../src/core/observation.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { statusChange, type DesiredStatus } from '../../../src/core/pod-status.ts';
import { applyStatus } from '../../support/apply-status.ts';
import { conditionIn, makeRunningPod } from '../../support/running-pod.ts';
import { NOW_MS, running, seen } from '../../support/snapshot.ts';

const TLS_MODE = 'security.istio.io/tlsMode';
const RECORD = running(0);
const ENDED = endRecord(RECORD, NOW_MS + 20_000);

function decided(traffic: Decision['traffic'], reason: Reason, message = 'why'): Decision {
  return { act: 'keep', traffic, reason, message };
}
const wish = (decision: Decision, proxy: Observation['proxy'], record?: DesiredStatus['record']): DesiredStatus => ({
  decision,
  observation: seen(proxy),
  record,
});
const MESHED = wish(decided('meshed', 'Meshed', 'traffic goes through the sidecar'), 'healthy');
const BYPASSED = wish(decided('bypassed', 'ProxyBypassed', 'dead; mTLS is suspended'), 'dead', RECORD);
const BLOCKED = wish(decided('blocked', 'BypassRefused', 'no consent'), 'dead');
const UNKNOWN = wish(decided(undefined, 'ProxyUnknown', 'EACCES'), 'unknown', RECORD);

/** The pod after what is desired was written. */
function after(pod: Pod, desired: DesiredStatus, atMs = NOW_MS): Pod {
  const change = statusChange(pod, desired, atMs);
  return change === undefined ? pod : applyStatus(pod, change);
}

function summary(pod: Pod): Record<string, unknown> {
  const said = (type: string): string => {
    const found = conditionIn(pod, type);
    return found === undefined ? '-' : `${found.status} ${found.reason}`;
  };
  const { labels = {} } = pod.metadata;
  return { ready: said('TrafficReady'), bypassed: said('Bypassed'), health: said('ProxyHealthy'), traffic: labels[TRAFFIC_LABEL], tlsMode: labels[TLS_MODE] };
}

describe('what each situation looks like', () => {
  const rows: readonly (readonly [string, DesiredStatus, Record<string, unknown>])[] = [
    [
      'too little is known of a new pod: its gate opens, and nothing else is claimed',
      UNKNOWN,
      { ready: 'True Meshed', bypassed: '-', health: 'Unknown ProxyUnknown', traffic: undefined, tlsMode: 'istio' },
    ],
    [
      'without consent the gate closes',
      BLOCKED,
      { ready: 'False BypassRefused', bypassed: 'False BypassRefused', health: 'False ProxyDead', traffic: 'blocked', tlsMode: 'istio' },
    ],
    [
      'the switch failed',
      wish(decided('blocked', 'SwitchFailed'), 'dead'),
      { ready: 'False SwitchFailed', bypassed: 'False SwitchFailed', health: 'False ProxyDead', traffic: 'blocked', tlsMode: 'istio' },
    ],
    [
      'the sidecar is dead and bypassed',
      BYPASSED,
      { ready: 'True ProxyBypassed', bypassed: 'True ProxyBypassed', health: 'False ProxyDead', traffic: 'bypassed', tlsMode: 'disabled' },
    ],
    [
      'the restore failed: traffic still passes by',
      wish(decided('bypassed', 'RestoreFailed'), 'healthy', RECORD),
      { ready: 'True RestoreFailed', bypassed: 'True RestoreFailed', health: 'True ProxyHealthy', traffic: 'bypassed', tlsMode: 'disabled' },
    ],
    [
      'only observed',
      wish(decided('meshed', 'Observing'), 'dead'),
      { ready: 'True Observing', bypassed: 'False Observing', health: 'False ProxyDead', traffic: 'meshed', tlsMode: 'istio' },
    ],
    ['healthy', MESHED, { ready: 'True Meshed', bypassed: 'False Meshed', health: 'True ProxyHealthy', traffic: 'meshed', tlsMode: 'istio' }],
    [
      'starting',
      wish(decided('meshed', 'Meshed'), 'starting'),
      { ready: 'True Meshed', bypassed: 'False Meshed', health: 'Unknown ProxyStarting', traffic: 'meshed', tlsMode: 'istio' },
    ],
    [
      'slow',
      wish(decided('meshed', 'Meshed'), 'unresponsive'),
      { ready: 'True Meshed', bypassed: 'False Meshed', health: 'False ProxyUnresponsive', traffic: 'meshed', tlsMode: 'istio' },
    ],
  ];
  test.each(rows)('%s', (_, desired, want) => {
    expect(summary(after(makeRunningPod(), desired))).toEqual(want);
  });

  test('what is suspended stands in the condition Bypassed, the evidence in ProxyHealthy', () => {
    const pod = after(makeRunningPod(), BYPASSED);
    expect(conditionIn(pod, 'Bypassed')?.message).toBe('dead; mTLS is suspended');
    expect(conditionIn(pod, 'ProxyHealthy')?.message).toBe('nothing in the pod listens on 15021 and 15006 any more');
    expect(conditionIn(after(pod, { ...MESHED, record: ENDED }), 'Bypassed')?.message).toBe('');
  });
});

describe('too little known during a bypass', () => {
  test('leaves label, record and conditions of traffic as they are', () => {
    const bypassed = after(makeRunningPod(), BYPASSED);
    const change = statusChange(bypassed, { ...UNKNOWN, record: ENDED }, NOW_MS);
    expect(change).toEqual({ conditions: [expect.objectContaining({ type: 'hot-switch.io/ProxyHealthy', status: 'Unknown' })] });
  });
});

describe('lastTransitionTime', () => {
  const timeOf = (pod: Pod, type: string): string | undefined =>
    pod.status?.conditions?.find((condition) => condition.type === `hot-switch.io/${type}`)?.lastTransitionTime;

  test('moves when the status flips, to whole seconds, and with nothing else', () => {
    const first = after(makeRunningPod(), MESHED, NOW_MS + 300);
    const later = after(first, BYPASSED, NOW_MS + 60_000);
    const again = after(later, { ...BYPASSED, decision: { ...BYPASSED.decision, message: 'another' } }, NOW_MS + 90_000);
    expect(conditionIn(again, 'TrafficReady')).toEqual({ status: 'True', reason: 'ProxyBypassed', message: 'another' });
    expect(timeOf(again, 'TrafficReady')).toBe('2026-03-01T12:00:00Z');
    expect(timeOf(again, 'Bypassed')).toBe('2026-03-01T12:01:00Z');
    expect(timeOf(again, 'ProxyHealthy')).toBe('2026-03-01T12:01:00Z');
  });
});

describe("Istio's label", () => {
  const pods: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['istio', { app: 'shop', [TLS_MODE]: 'istio' }],
    ['disabled by its owner', { app: 'shop', [TLS_MODE]: 'disabled' }],
    ['absent', { app: 'shop' }],
    ['of a later version', { app: 'shop', [TLS_MODE]: 'something-new' }],
  ];
  test.each(pods)('%s: a bypass and its end leave it exactly so', (_, labels) => {
    const pod = makeRunningPod({ metadata: { labels } });
    const record = { ...RECORD, tlsMode: labels[TLS_MODE] ?? null };
    const bypassed = after(pod, { ...BYPASSED, record });
    expect(bypassed.metadata.labels?.[TLS_MODE]).toBe('disabled');
    const restored = after(bypassed, { ...MESHED, record: endRecord(record, NOW_MS) });
    expect(restored.metadata.labels).toEqual({ ...labels, [TRAFFIC_LABEL]: 'meshed' });
    expect(restored.metadata.annotations?.[BYPASS_RECORD]).toContain('"until"');
  });

  test('is not touched without a bypass, whatever somebody makes of it', () => {
    const pod = after(makeRunningPod(), MESHED);
    const changed = { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [TLS_MODE]: 'other' } } };
    expect(statusChange(changed, MESHED, NOW_MS)).toBe(undefined);
  });

  test('a bypass that failed goes back in one write, label and record', () => {
    const wished = after(makeRunningPod(), BYPASSED);
    const undone = after(wished, wish(decided('blocked', 'SwitchFailed'), 'dead'));
    expect(undone.metadata.labels?.[TLS_MODE]).toBe('istio');
    expect(undone.metadata.annotations).not.toHaveProperty(BYPASS_RECORD);
  });
});

describe('in any history', () => {
  const reasons = Object.keys(REASONS) as Reason[];
  const wishes: fc.Arbitrary<DesiredStatus> = fc
    .record({
      traffic: fc.constantFrom<Decision['traffic']>('meshed', 'bypassed', 'blocked', undefined),
      reason: fc.constantFrom(...reasons),
      message: fc.oneof(fc.string(), fc.string({ unit: 'binary', minLength: 500, maxLength: 600 })),
      proxy: fc.constantFrom<Observation['proxy']>('healthy', 'dead', 'unresponsive', 'starting', 'unknown'),
    })
    .map(({ traffic, reason, message, proxy }) =>
      wish(decided(traffic, reason, message), proxy, traffic === 'bypassed' ? RECORD : traffic === undefined ? undefined : ENDED),
    );
  const throughJson = (pod: Pod): Pod => JSON.parse(new TextDecoder().decode(new TextEncoder().encode(JSON.stringify(pod)))) as Pod;

  test('what was written once is not written again, however the API server encodes it', () => {
    fc.assert(
      fc.property(fc.array(wishes, { minLength: 1, maxLength: 6 }), (history) => {
        let pod = makeRunningPod();
        for (const desired of history) {
          pod = throughJson(after(pod, desired));
          expect(statusChange(pod, desired, NOW_MS + 99_000)).toBe(undefined);
        }
      }),
    );
  });

  test('the label is disabled exactly during a bypass, else as found; messages stay short and well formed', () => {
    fc.assert(
      fc.property(fc.array(wishes, { minLength: 1, maxLength: 6 }), (history) => {
        let pod = makeRunningPod();
        let traffic: Decision['traffic'];
        for (const desired of history) {
          pod = after(pod, desired);
          traffic = desired.decision.traffic ?? traffic;
        }
        expect(pod.metadata.labels?.[TLS_MODE]).toBe(traffic === 'bypassed' ? 'disabled' : 'istio');
        for (const { message = '' } of pod.status?.conditions ?? []) {
          expect(message.length).toBeLessThanOrEqual(512);
          expect(message).not.toMatch(/\p{Surrogate}/u);
        }
      }),
    );
  });
});
