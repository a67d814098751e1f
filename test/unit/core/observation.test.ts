import { describe, expect, test } from '@jest/globals';
import { appRuns, blockedBefore, hasEnded, observe, plannedOf, wasUpBefore, type Observation, type ProbeResult } from '../../../src/core/observation.ts';
import type { ContainerStatus, Pod } from '../../../src/core/pod.ts';
import type { ListenersReading } from '../../../src/core/proc-net.ts';
import { makeRunningPod } from '../../support/running-pod.ts';
import { seen } from '../../support/snapshot.ts';

const OK: ProbeResult = { kind: 'ok' };
const NONE: ProbeResult = { kind: 'none' };
const ENDED: ProbeResult = { kind: 'ended' };
const FAILED: ProbeResult = { kind: 'failed', why: 'answered 503' };
const UNREADABLE: ListenersReading = { known: false, why: 'EACCES' };
const on = (...ports: readonly number[]): ListenersReading => ({ known: true, listeners: ports.map((port) => ({ port, address: 'any' })) });

describe('observe', () => {
  const rows: readonly (readonly [string, Parameters<typeof observe>, Observation['proxy'], string])[] = [
    ['unreadable sockets are unknown, not dead', [FAILED, UNREADABLE, true], 'unknown', 'the sockets of the pod could not be read: EACCES'],
    ['a namespace that was not found is unknown', [FAILED, undefined, true], 'unknown', 'could not be read: the network namespace of the pod was not found'],
    ['nor does an ended connection hide that', [ENDED, UNREADABLE, true, seen('healthy')], 'unknown', 'EACCES'],
    ['an answer is healthy', [OK, undefined, false], 'healthy', 'port 15021 answers'],
    ['an answer beats sockets read before it: a sidecar that was restarted at that moment', [OK, on(), true], 'healthy', 'port 15021 answers'],
    ['nothing listens any more: dead', [FAILED, on(8080, 15020), true], 'dead', 'nothing in the pod listens on 15021 and 15006 any more'],
    ['also when the connection has only just ended', [ENDED, on(8080), true, seen('healthy')], 'dead', 'any more'],
    ['also for an agent that has not probed yet', [NONE, on(8080), true], 'dead', 'any more'],
    ['nothing listens yet: starting', [FAILED, on(8080), false], 'starting', 'nothing in the pod listens on 15021 and 15006 yet'],
    ['one of two is no proof', [FAILED, on(15006), true], 'unresponsive', 'nothing in the pod listens on 15021'],
    ['nor is the other', [FAILED, on(15021), true], 'unresponsive', 'nothing in the pod listens on 15006'],
    ['it listens and does not answer as it should', [FAILED, on(15021, 15006), true], 'unresponsive', 'port 15021: answered 503'],
    ['it listens and was never good', [FAILED, on(15021, 15006), false], 'starting', 'port 15021: answered 503'],
    ['it listens and was not probed yet', [NONE, on(15021, 15006), true], 'unknown', 'port 15021 was not probed yet'],
    ['the end of a connection alone says nothing', [ENDED, on(15021, 15006), true, seen('healthy')], 'healthy', 'port 15021 answers'],
    ['nor while a dying process has closed one listener only', [ENDED, on(15006), true, seen('healthy')], 'healthy', 'port 15021 answers'],
    [
      'a death seen before does not hold once something listens',
      [ENDED, on(15021, 15006), true, seen('dead')],
      'unresponsive',
      'port 15021: the connection ended',
    ],
  ];
  test.each(rows)('%s', (_, given, proxy, evidence) => {
    const observation = observe(...given);
    expect(observation.proxy).toBe(proxy);
    expect(observation.evidence).toContain(evidence);
  });
});

const proxy = (change: Partial<ContainerStatus>): Pod => makeRunningPod({ status: { initContainerStatuses: [{ name: 'istio-proxy', ...change }] } });
const app = (...states: readonly ContainerStatus['state'][]): Pod =>
  makeRunningPod({ status: { containerStatuses: states.map((state, index) => ({ name: `app-${index}`, ...(state && { state }) })) } });
const health = (status: string): Pod => makeRunningPod({ status: { initContainerStatuses: [], conditions: [{ type: 'hot-switch.io/ProxyHealthy', status }] } });
const EXITED = { terminated: { exitCode: 0 } };

describe('wasUpBefore, for an agent that was started again', () => {
  test.each<[string, Pod, boolean]>([
    ['a container that waits was not', proxy({ started: false, restartCount: 0 }), false],
    ['no status at all says nothing', makeRunningPod({ status: { initContainerStatuses: [] } }), false],
    ['an unknown health says nothing', health('Unknown'), false],
    ['one that has started was', proxy({ started: true }), true],
    ['one that was restarted was', proxy({ started: false, restartCount: 1 }), true],
    ['one that was seen healthy was', health('True'), true],
    ['one that was seen failing was', health('False'), true],
  ])('%s', (_, pod, want) => {
    expect(wasUpBefore(pod)).toBe(want);
  });

  test('a sidecar among the containers counts like one among the init containers', () => {
    expect(wasUpBefore(makeRunningPod({ status: { initContainerStatuses: [], containerStatuses: [{ name: 'istio-proxy', started: true }] } }))).toBe(true);
  });
});

describe('plannedOf', () => {
  const job = (restartPolicy: string, ...states: readonly ContainerStatus['state'][]): Pod => {
    const pod = app(...states);
    return { ...pod, spec: { ...pod.spec, restartPolicy } };
  };
  test.each<[string, Pod, string | undefined]>([
    ['a pod that runs', makeRunningPod(), undefined],
    ['a pod that is being deleted', makeRunningPod({ metadata: { deletionTimestamp: '2026-03-01T12:00:00Z' } }), 'the pod is being deleted'],
    ['a pod that has succeeded', makeRunningPod({ status: { phase: 'Succeeded' } }), 'the pod has ended (Succeeded)'],
    ['a pod that was evicted', makeRunningPod({ status: { phase: 'Failed' } }), 'the pod has ended (Failed)'],
    ['the application of a Job has run to its end', job('Never', EXITED), 'the application has run to its end'],
    ['also where it would be restarted on failure', job('OnFailure', EXITED, EXITED), 'the application has run to its end'],
    ['one of two containers of a Job still runs', job('Never', EXITED, { running: {} }), undefined],
    ['a Job that has not started', job('Never'), undefined],
    ['an application that is always started again', job('Always', EXITED), undefined],
  ])('%s', (_, pod, want) => {
    expect(plannedOf(pod)).toBe(want);
    expect(hasEnded(pod)).toBe(want?.startsWith('the pod has ended') ?? false);
  });
});

describe('appRuns', () => {
  test.each<[string, Pod, boolean]>([
    ['one of two runs', app({ waiting: { reason: 'CrashLoopBackOff' } }, { running: {} }), true],
    ['kubelet has told nothing yet', app(), true],
    ['kubelet tells no state', app(undefined), true],
    ['it waits for the sidecar of a new sandbox', app({ waiting: { reason: 'PodInitializing' } }), false],
    ['it has crashed', app(EXITED, { waiting: { reason: 'CrashLoopBackOff' } }), false],
  ])('%s', (_, pod, want) => {
    expect(appRuns(pod)).toBe(want);
  });

  test('the sidecar is not the application', () => {
    const statuses = [
      { name: 'istio-proxy', state: { running: {} } },
      { name: 'app', state: EXITED },
    ];
    expect(appRuns(makeRunningPod({ status: { containerStatuses: statuses } }))).toBe(false);
  });
});

describe('blockedBefore, for an agent that was started again', () => {
  const labelled = (traffic: string, reason: string): Pod =>
    makeRunningPod({
      metadata: { labels: { 'hot-switch.io/traffic': traffic } },
      status: { conditions: [{ type: 'hot-switch.io/TrafficReady', status: 'False', reason, message: 'why' }] },
    });
  test.each<[string, Pod, ReturnType<typeof blockedBefore>]>([
    ['a pod without our label', makeRunningPod(), undefined],
    ['a meshed pod', labelled('meshed', 'Meshed'), undefined],
    ['a blocked pod', labelled('blocked', 'SwitchFailed'), { reason: 'SwitchFailed', message: 'why' }],
    ['a reason that is none of ours', labelled('blocked', 'constructor'), undefined],
  ])('%s', (_, pod, want) => {
    expect(blockedBefore(pod)).toEqual(want);
  });
});
