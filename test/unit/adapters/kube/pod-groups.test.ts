import { describe, expect, test } from '@jest/globals';
import { createPodGroups } from '../../../../src/adapters/kube/pod-groups.ts';
import type { PodFacts } from '../../../../src/core/endpoint-facts.ts';
import { BYPASSED_POD } from '../../../support/endpoint-scene.ts';

const NAME = { namespace: 'shop', name: 'web-a' };
const MESHED: PodFacts = { ...BYPASSED_POD, traffic: 'meshed', bypassed: 'False', bypass: undefined };

describe('pods by node', () => {
  test('those with a trace of a bypass, as they come, move and go', () => {
    const groups = createPodGroups(() => 0);
    groups.changed(NAME, MESHED, undefined);
    expect(groups.onNode('node-1')).toEqual([]);
    groups.changed(NAME, BYPASSED_POD, MESHED);
    expect(groups.onNode('node-1')).toEqual([NAME]);
    const moved = { ...BYPASSED_POD, uid: 'uid-b', nodeName: 'node-2' };
    groups.changed(NAME, moved, BYPASSED_POD);
    expect([groups.onNode('node-1'), groups.onNode('node-2')]).toEqual([[], [NAME]]);
    groups.changed(NAME, undefined, moved);
    expect(groups.onNode('node-2')).toEqual([]);
  });
});

describe('gone', () => {
  const rows: Record<string, { before: PodFacts; now: PodFacts | undefined; want: boolean }> = {
    'a bypassed pod that vanished': { before: BYPASSED_POD, now: undefined, want: true },
    'a bypassed pod whose name another has': { before: BYPASSED_POD, now: { ...MESHED, uid: 'uid-b' }, want: true },
    'the same pod, changed': { before: BYPASSED_POD, now: { ...BYPASSED_POD, othersReady: false }, want: false },
    'one that was Ready by itself': { before: { ...BYPASSED_POD, podReady: true }, now: undefined, want: false },
    'one that was never bypassed': { before: MESHED, now: undefined, want: false },
  };
  test.each(Object.entries(rows))('%s', (_what, { before, now, want }) => {
    const groups = createPodGroups(() => 0);
    groups.changed(NAME, before, undefined);
    groups.changed(NAME, now, before);
    expect(groups.isGone('uid-a')).toBe(want);
  });

  test('for a minute, unless it comes back', () => {
    let nowMs = 0;
    const groups = createPodGroups(() => nowMs);
    groups.changed(NAME, undefined, BYPASSED_POD);
    nowMs = 60_000;
    expect(groups.isGone('uid-a')).toBe(true);
    nowMs = 60_001;
    expect(groups.isGone('uid-a')).toBe(false);
    groups.changed(NAME, undefined, BYPASSED_POD);
    groups.changed(NAME, BYPASSED_POD, undefined);
    expect(groups.isGone('uid-a')).toBe(false);
  });

  test('no more than 10,000 are remembered, the newest', () => {
    const groups = createPodGroups(() => 0);
    for (let n = 0; n < 10_001; n += 1) groups.changed({ namespace: 'shop', name: `p${n}` }, undefined, { ...BYPASSED_POD, uid: `u${n}` });
    expect([groups.isGone('u0'), groups.isGone('u1'), groups.isGone('u10000')]).toEqual([false, true, true]);
  });
});
