import { afterEach, describe, expect, test } from '@jest/globals';
import { createAgent, isOurs, type Agent } from '../../../src/agent/agent.ts';
import type { Networks, PodWriter } from '../../../src/agent/ports.ts';
import { endRecord } from '../../../src/core/bypass-history.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { captureLog } from '../../support/captured-log.ts';
import { eventually } from '../../support/eventually.ts';
import { makePodNetwork, type FakePodNetwork } from '../../support/fake-pod-network.ts';
import { makeRunningPod, type RunningPodChange } from '../../support/running-pod.ts';
import { loopbackAddress, SidecarServer } from '../../support/sidecar-server.ts';
import { NOW_MS, running } from '../../support/snapshot.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

describe('isOurs', () => {
  const RECORD = 'agent.hot-switch.io/bypass';
  const unstamped = (annotations: Readonly<Record<string, string>>): Pod => {
    const pod = makeRunningPod();
    return { ...pod, metadata: { ...pod.metadata, annotations } };
  };
  const without = (change: Partial<Pod['spec']>): Pod => ({ ...makeRunningPod(), spec: { ...makeRunningPod().spec, ...change } });
  test.each<[string, Pod, boolean]>([
    ['a pod that nobody stamped', unstamped({}), false],
    ['a stamped pod without a sidecar', without({ initContainers: [] }), false],
    ['a stamped pod on the network of its node', without({ hostNetwork: true }), false],
    ['a pod that has succeeded: its address may be another pod’s', makeRunningPod({ status: { phase: 'Succeeded' } }), false],
    ['a pod that was evicted', makeRunningPod({ status: { phase: 'Failed' } }), false],
    ['a pod that lost its stamp after a bypass', unstamped({ [RECORD]: JSON.stringify(endRecord(running(1), NOW_MS)) }), false],
    ['a pod that lost its stamp and carries nonsense', unstamped({ [RECORD]: '{}' }), false],
    ['a pod that lost its stamp during a bypass, which has to end', unstamped({ [RECORD]: JSON.stringify(running(1)) }), true],
    ['a stamped pod with a sidecar', makeRunningPod(), true],
    ['a stamp that cannot be read', unstamped({ 'hot-switch.io/effective-policy': '?' }), true],
    ['a pod that has not started', makeRunningPod({ status: { phase: 'Pending', podIP: '' } }), true],
    ['a pod that is being deleted', makeRunningPod({ metadata: { deletionTimestamp: '2026-03-01T12:00:00Z' } }), true],
  ])('%s', (_, pod, want) => {
    expect(isOurs(pod)).toBe(want);
  });
});

interface Scene {
  readonly agent: Agent;
  /** UIDs in the order in which their namespaces were opened. */
  readonly opened: string[];
  readonly made: Map<string, FakePodNetwork>;
}

function makeScene(): Scene {
  const opened: string[] = [];
  const made = new Map<string, FakePodNetwork>();
  const networks: Networks = {
    async open(pod) {
      const uid = pod.metadata.uid ?? '';
      const network = await makePodNetwork();
      opened.push(uid);
      made.set(uid, network);
      return network;
    },
  };
  const writer: PodWriter = { write: (pod) => Promise.resolve(pod), record: () => undefined };
  const context = { networks, writer, log: captureLog().log, bootID: 'boot-1', installationAllows: () => true, nowMs: Date.now };
  const agent = createAgent(context);
  cleanups.push(() => agent.stop());
  return { agent, opened, made };
}

const KEY = 'demo/shop-1';
function podWith(uid: string, change: RunningPodChange = {}): Pod {
  return makeRunningPod({ ...change, metadata: { uid, ...change.metadata }, status: { podIP: loopbackAddress(), ...change.status } });
}

describe('one loop for each pod', () => {
  test('nothing for a key without a pod, nor for a pod without a UID', () => {
    const { agent, opened } = makeScene();
    const pod = podWith('a');
    const { uid: _, ...metadata } = pod.metadata;
    agent.observe(KEY, undefined);
    agent.observe(KEY, { ...pod, metadata });
    expect([agent.size, opened]).toEqual([0, []]);
  });

  test('however often it is seen', async () => {
    const { agent, opened } = makeScene();
    const pod = podWith('a');
    for (let round = 0; round < 5; round += 1) agent.observe(KEY, pod);
    agent.observe('demo/shop-2', podWith('b'));
    await eventually('both open', () => opened.length === 2);
    expect([agent.size, opened]).toEqual([2, ['a', 'b']]);
  });

  test('a pod that goes takes its loop along', async () => {
    const { agent, opened, made } = makeScene();
    agent.observe(KEY, podWith('a'));
    await eventually('open', () => opened.length === 1);
    agent.observe(KEY, undefined);
    agent.observe(KEY, undefined);
    expect(agent.size).toBe(0);
    await eventually('closed', () => made.get('a')?.closed === true);
  });

  test('another UID under the same name is another pod', async () => {
    const { agent, opened, made } = makeScene();
    agent.observe(KEY, podWith('a'));
    await eventually('open', () => opened.length === 1);
    agent.observe(KEY, podWith('b'));
    await eventually('the old one closed', () => made.get('a')?.closed === true);
    await eventually('the new one open', () => opened.length === 2);
    expect([agent.size, made.get('b')?.closed]).toEqual([1, false]);
  });

  test('stop closes everything, also what is ending already', async () => {
    const { agent, opened, made } = makeScene();
    agent.observe(KEY, podWith('a'));
    agent.observe('demo/shop-2', podWith('b'));
    await eventually('open', () => opened.length === 2);
    agent.observe(KEY, undefined);
    await agent.stop();
    expect([agent.size, [...made.values()].map(({ closed }) => closed)]).toEqual([0, [true, true]]);
  });

  test('an address that comes late is probed', async () => {
    const sidecar = new SidecarServer();
    await sidecar.start();
    cleanups.push(() => sidecar.kill());
    const { agent, opened } = makeScene();
    agent.observe(KEY, podWith('a', { status: { podIP: '' } }));
    expect([sidecar.requests, opened]).toEqual([0, []]);
    agent.observe(KEY, podWith('a', { status: { podIP: sidecar.address } }));
    await eventually('a probe', () => sidecar.requests > 0);
    await eventually('open', () => opened.length === 1);
    expect(agent.size).toBe(1);
    await agent.stop();
  });
});
