import { afterEach, describe, expect, test } from '@jest/globals';
import { createSwitch, type Switch } from '../../../src/agent/switch.ts';
import { captureLog } from '../../support/captured-log.ts';
import { ATTACHED, makePodNetwork, type FakePodNetwork } from '../../support/fake-pod-network.ts';
import { NOW_MS } from '../../support/snapshot.ts';

const networks: FakePodNetwork[] = [];
afterEach(() => networks.splice(0).forEach((network) => void network.close()));

interface Scene {
  readonly network: FakePodNetwork;
  readonly switcher: Switch;
  readonly lines: readonly Record<string, unknown>[];
}

/** A switch that has read the rules. */
async function makeScene(change: (network: FakePodNetwork) => void = () => undefined, refreshMs = 60_000): Promise<Scene> {
  const network = await makePodNetwork(15920);
  networks.push(network);
  change(network);
  const { log, lines } = captureLog();
  const switcher = createSwitch(network, { log, nowMs: () => NOW_MS, refreshMs });
  await switcher.refresh();
  return { network, switcher, lines };
}

/** The text that a switch with another probe port leaves: an earlier agent's bypass. */
async function clearedByAnother(): Promise<string> {
  const other = await makePodNetwork(15921);
  networks.push(other);
  await createSwitch(other, { log: captureLog().log, nowMs: () => NOW_MS }).detach();
  return other.text;
}

describe('what fails', () => {
  test('rules that cannot be read: unknown, nothing is changed, and the log says why once', async () => {
    const { network, switcher, lines } = await makeScene((made) => (made.failSaves = Number.POSITIVE_INFINITY));
    expect(switcher.redirection()).toBe('unknown');
    expect(await switcher.detach()).toBe(false);
    expect(network.applies).toBe(0);
    expect(switcher.failure()).toEqual({ verb: 'detach', why: 'the rules could not be read: iptables-save ended with code 4', retryAtMs: NOW_MS + 1000 });
    await switcher.refresh();
    expect(lines.filter(({ message }) => message === 'the rules could not be read')).toHaveLength(1);
  });

  test('a change that fails twice: nothing is changed, and the time of the next try moves away', async () => {
    const { network, switcher } = await makeScene((made) => (made.failApplies = 4));
    expect(await switcher.detach()).toBe(false);
    expect(switcher.failure()).toMatchObject({
      verb: 'detach',
      why: 'the rules could not be changed: iptables-restore ended with code 1',
      retryAtMs: NOW_MS + 1000,
    });
    expect(await switcher.detach()).toBe(false);
    expect(switcher.failure()?.retryAtMs).toBe(NOW_MS + 2000);
    expect(network.text).toBe(ATTACHED);
    expect(switcher.redirection()).toBe('attached');
    expect(await switcher.detach()).toBe(true);
    expect(switcher.failure()).toBe(undefined);
  });

  test('a change that cannot be read back is not called done', async () => {
    const { network, switcher } = await makeScene();
    network.failSaves = Number.POSITIVE_INFINITY;
    expect(await switcher.detach()).toBe(false);
    expect(switcher.redirection()).toBe('unknown');
    network.failSaves = 0;
    await switcher.refresh();
    expect(switcher.redirection()).toBe('detached');
  });

  test('a backend that changes nothing is found out', async () => {
    const { network, switcher } = await makeScene();
    network.apply = () => Promise.resolve();
    expect(await switcher.detach()).toBe(false);
    expect(switcher.failure()?.why).toBe('the rules were changed, but read back as attached');
  });

  test('another sandbox is not changed', async () => {
    const { network, switcher } = await makeScene();
    network.isValid = false;
    expect(await switcher.detach()).toBe(false);
    expect(network.text).toBe(ATTACHED);
  });

  test('a pod without redirection', async () => {
    const { switcher } = await makeScene((made) => (made.text = '*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n'));
    expect(switcher.redirection()).toBe('absent');
    expect(await switcher.detach()).toBe(false);
    expect(switcher.failure()?.why).toContain('no redirection of Istio');
  });

  test('a failure is forgotten once all is well without the act', async () => {
    const { network, switcher } = await makeScene((made) => (made.failApplies = 2));
    await switcher.detach();
    switcher.settled();
    expect(switcher.failure()).toBe(undefined);
    network.failApplies = 2;
    await switcher.detach();
    expect(switcher.failure()?.retryAtMs).toBe(NOW_MS + 1000);
  });
});

describe('what works', () => {
  test('there and back is the text that was found', async () => {
    const { network, switcher } = await makeScene();
    expect(await switcher.detach()).toBe(true);
    expect([switcher.redirection(), switcher.answersProbes()]).toEqual(['detached', true]);
    expect(network.text).toContain('--to-ports 15920');
    expect(await switcher.restore()).toBe(true);
    expect(switcher.redirection()).toBe('attached');
    expect(network.text).toBe(ATTACHED);
  });

  test('with a plan at hand the change is under way at once: no read comes before it', async () => {
    const { network, switcher } = await makeScene();
    const savesBefore = network.saves;
    const done = switcher.detach();
    expect([network.applies, network.saves]).toEqual([1, savesBefore]);
    expect(await done).toBe(true);
  });

  test('rules that somebody changed meanwhile cost a second try, and theirs stay', async () => {
    const { network, switcher } = await makeScene();
    network.text = ATTACHED.replace('-A PREROUTING -p tcp -j ISTIO_INBOUND', '-A PREROUTING -p tcp -j ISTIO_INBOUND\n-A PREROUTING -j ACCEPT').replace(
      '-A OUTPUT -j ISTIO_OUTPUT',
      '-A OUTPUT -p tcp -j ISTIO_OUTPUT',
    );
    const found = network.text;
    expect(await switcher.detach()).toBe(true);
    expect(network.applies).toBe(2);
    expect(await switcher.restore()).toBe(true);
    expect(network.text).toBe(found);
  });

  test('an act that is done already changes nothing', async () => {
    const { network, switcher } = await makeScene();
    expect(await switcher.restore()).toBe(true);
    expect(network.applies).toBe(0);
  });

  test('a bypass of an earlier agent sends probes elsewhere, until it is made ours', async () => {
    const text = await clearedByAnother();
    const { network, switcher } = await makeScene((made) => (made.text = text));
    expect([switcher.redirection(), switcher.answersProbes()]).toEqual(['detached', false]);
    expect(await switcher.detach()).toBe(true);
    expect(switcher.answersProbes()).toBe(true);
    expect(network.text).not.toContain('15921');
    expect(await switcher.restore()).toBe(true);
    expect(network.text).toBe(ATTACHED);
  });
});

describe('refresh', () => {
  test('reads again only what is old', async () => {
    const { network, switcher } = await makeScene();
    await switcher.refresh();
    expect(network.saves).toBe(1);
  });

  test('sees what somebody else has changed', async () => {
    const text = await clearedByAnother();
    const { network, switcher } = await makeScene(undefined, 0);
    network.text = text;
    await switcher.refresh();
    expect(switcher.redirection()).toBe('detached');
  });

  test('a failed read makes the rules unknown, and is made again', async () => {
    const { network, switcher } = await makeScene(undefined, 0);
    network.failSaves = 1;
    await switcher.refresh();
    expect(switcher.redirection()).toBe('unknown');
    await switcher.refresh();
    expect(switcher.redirection()).toBe('attached');
  });
});
