import { afterEach, describe, expect, test } from '@jest/globals';
import { createNetworkHolder, type NetworkHolder } from '../../../src/agent/network-holder.ts';
import { captureLog } from '../../support/captured-log.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { FakeNetworks, makePodNetwork, type FakePodNetwork } from '../../support/fake-pod-network.ts';
import { makeRunningPod } from '../../support/running-pod.ts';

const POD = makeRunningPod();
const holders: NetworkHolder[] = [];
const made: FakePodNetwork[] = [];
afterEach(async () => {
  for (const holder of holders.splice(0)) await holder.close();
  for (const network of made.splice(0)) await network.close();
});

interface Scene {
  readonly networks: FakeNetworks;
  readonly list: readonly FakePodNetwork[];
  readonly holder: NetworkHolder;
  /** What happened, in order: `open` and `leave` with the index of the network. */
  readonly story: string[];
}

async function makeScene(count = 1, minMs = 2): Promise<Scene> {
  const list = await Promise.all(Array.from({ length: count }, () => makePodNetwork()));
  made.push(...list);
  const networks = new FakeNetworks(...list);
  const story: string[] = [];
  const holder = createNetworkHolder(networks, {
    log: captureLog().log,
    backoff: { minMs, maxMs: 10 * minMs, factor: 2, jitter: 0 },
    onOpen: (network) => {
      const index = list.indexOf(network as FakePodNetwork);
      story.push(`open ${index}`);
      return () => {
        story.push(`leave ${index}, ${list[index]?.closed === true ? 'closed' : 'still open'}`);
        return Promise.resolve();
      };
    },
  });
  holders.push(holder);
  return { networks, list, holder, story };
}

describe('nothing is opened', () => {
  test.each([
    ['for a pod without an address', makeRunningPod({ status: { podIP: '' } })],
    ['for a pod without a status', { ...POD, status: {} }],
    ['for a pod that is being deleted', makeRunningPod({ metadata: { deletionTimestamp: '2026-03-01T12:00:00Z' } })],
  ])('%s', async (_, pod) => {
    const { networks, holder } = await makeScene();
    holder.open(pod);
    expect(networks.opens).toBe(0);
    holder.open(POD);
    expect(networks.opens).toBe(1);
  });

  test('after close', async () => {
    const { networks, holder } = await makeScene();
    await holder.close();
    holder.open(POD);
    expect(networks.opens).toBe(0);
  });
});

describe('what cannot be opened', () => {
  test('is tried again by itself', async () => {
    const { networks, holder, story } = await makeScene();
    networks.failOpens = 3;
    holder.open(POD);
    await eventually('open', () => story.length === 1);
    expect([networks.opens, story]).toEqual([4, ['open 0']]);
  });

  test('is not tried sooner, however often it is asked for', async () => {
    const { networks, holder } = await makeScene(1, 60_000);
    networks.failOpens = 100;
    for (let round = 0; round < 10; round += 1) {
      holder.open(POD);
      await sleep(1);
    }
    expect(networks.opens).toBe(1);
  });

  test('is not tried again for a pod that is being deleted meanwhile', async () => {
    const { networks, holder } = await makeScene();
    networks.failOpens = 100;
    holder.open(POD);
    await eventually('one try', () => networks.opens === 1);
    holder.open(makeRunningPod({ metadata: { deletionTimestamp: '2026-03-01T12:00:00Z' } }));
    await sleep(20);
    expect(networks.opens).toBeLessThanOrEqual(2);
  });
});

describe('what is open', () => {
  test('is opened once', async () => {
    const { networks, holder, story } = await makeScene();
    holder.open(POD);
    holder.open(POD);
    await eventually('open', () => story.length === 1);
    holder.open(POD);
    await holder.check(POD);
    expect([networks.opens, story]).toEqual([1, ['open 0']]);
  });

  test('is left, closed and opened anew when the sandbox was replaced', async () => {
    const { list, holder, story } = await makeScene(2);
    holder.open(POD);
    await eventually('open', () => story.length === 1);
    if (list[0] !== undefined) list[0].isValid = false;
    await holder.check(POD);
    await eventually('the new one', () => story.length === 3);
    expect(story).toEqual(['open 0', 'leave 0, still open', 'open 1']);
    expect(list.map(({ closed }) => closed)).toEqual([true, false]);
  });

  test('is left and closed at the end', async () => {
    const { list, holder, story } = await makeScene();
    holder.open(POD);
    await eventually('open', () => story.length === 1);
    await holder.close();
    expect([list[0]?.closed, story]).toEqual([true, ['open 0', 'leave 0, still open']]);
  });

  test('is closed also when the end comes before it was found', async () => {
    const { list, holder, story } = await makeScene();
    holder.open(POD);
    await holder.close();
    expect([list[0]?.closed, story]).toEqual([true, []]);
  });
});
