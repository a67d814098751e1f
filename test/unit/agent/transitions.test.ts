import { describe, expect, test } from '@jest/globals';
import { createTransitions } from '../../../src/agent/transitions.ts';
import type { Reason } from '../../../src/api/reasons.ts';
import type { Decision } from '../../../src/core/failover.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { captureLog } from '../../support/captured-log.ts';
import { FakePodWriter } from '../../support/fake-pod-writer.ts';
import { makeRunningPod } from '../../support/running-pod.ts';
import { seen } from '../../support/snapshot.ts';

function saying(reason: string): Pod {
  return makeRunningPod({ status: { conditions: [{ type: 'hot-switch.io/TrafficReady', status: 'True', reason }] } });
}

/** The events of the decisions with these reasons, in this order; `?`: too little known. */
function told(first: Pod, ...reasons: readonly (Reason | '?')[]): readonly string[] {
  const writer = new FakePodWriter(first);
  const { log, lines } = captureLog();
  const transitions = createTransitions(first, writer, log);
  for (const given of reasons) {
    const reason = given === '?' ? 'ProxyUnknown' : given;
    const decision: Decision = { act: 'keep', traffic: given === '?' ? undefined : 'meshed', reason, message: 'why' };
    transitions.report(first, decision, seen('healthy'));
  }
  expect(lines.map(({ reason }) => reason)).toEqual(writer.reasons());
  return writer.events.map(({ type, reason }) => `${type} ${reason}`);
}

describe('each transition is told once', () => {
  const rows: readonly (readonly [string, Pod, readonly (Reason | '?')[], readonly string[]])[] = [
    ['too little known is none', makeRunningPod(), ['?', '?'], []],
    ['nor does it hide one', makeRunningPod(), ['ProxyBypassed', '?', 'ProxyBypassed'], ['Warning ProxyBypassed']],
    ['a refusal that lasts', makeRunningPod(), ['BypassRefused', 'BypassRefused', 'BypassRefused'], ['Warning BypassRefused']],
    [
      'a switch that fails and works at last',
      makeRunningPod(),
      ['SwitchFailed', 'SwitchFailed', 'ProxyBypassed'],
      ['Warning SwitchFailed', 'Warning ProxyBypassed'],
    ],
    ['the first sight of a healthy pod is quiet', makeRunningPod(), ['Meshed', 'Meshed'], []],
    ['a bypass and its end', makeRunningPod(), ['Meshed', 'ProxyBypassed', 'ProxyRestored', 'Meshed'], ['Warning ProxyBypassed', 'Normal ProxyRestored']],
    ['blocked, and well without us', makeRunningPod(), ['BypassRefused', 'Meshed'], ['Warning BypassRefused', 'Normal Meshed']],
    ['only observed, and well again', makeRunningPod(), ['Observing', 'Meshed'], ['Warning Observing', 'Normal Meshed']],
    ['an agent that was started again tells no old news', saying('ProxyBypassed'), ['ProxyBypassed', 'ProxyRestored'], ['Normal ProxyRestored']],
    ['and tells what happened meanwhile', saying('Meshed'), ['ProxyBypassed'], ['Warning ProxyBypassed']],
    ['a reason that is not the agent’s is none', saying('FailSafe'), ['Meshed'], []],
    ['nor is a name that every object has', saying('constructor'), ['Meshed'], []],
  ];
  test.each(rows)('%s', (_, first, reasons, want) => {
    expect(told(first, ...reasons)).toEqual(want);
  });
});
