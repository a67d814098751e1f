import { describe, expect, test } from '@jest/globals';
import { parseBypassRecord, type BypassRecord } from '../../../src/api/bypass-record.ts';
import { BYPASS_RECORD } from '../../../src/api/keys.ts';
import { lasts } from '../../../src/core/bypass-history.ts';
import { redirectionOf } from '../../../src/core/netfilter/detach.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { ATTACHED, makePodNetwork } from '../../support/fake-pod-network.ts';
import { BYPASSED, makeScene, MESHED, REFUSED, TLS_MODE, type Scene, type SceneOptions } from '../../support/pod-scene.ts';
import { SidecarServer } from '../../support/sidecar-server.ts';
import { ruleset } from '../../support/simulated-iptables.ts';
import { running } from '../../support/snapshot.ts';

/** A story of one pod under a loop of its own; all of a file run side by side, since most of each is waiting. */
function story(sentence: string, options: SceneOptions, tell: (scene: Scene) => Promise<unknown>): void {
  test.concurrent.each([sentence])('%s', async () => {
    const scene = await makeScene(options);
    try {
      await tell(scene);
      expect(scene.lines.filter(({ message }) => message === 'a round failed')).toEqual([]);
    } finally {
      await scene.stop();
    }
  });
}

const rules = ({ network }: Scene): string => redirectionOf(ruleset(network.text));
const recordIn = ({ server }: Scene): BypassRecord | undefined => parseBypassRecord(server.pod.metadata.annotations?.[BYPASS_RECORD]);
const DYING = { deletionTimestamp: '2026-03-01T12:00:00Z' };
const NOT_READY = [{ name: 'istio-proxy', ready: false, restartCount: 1 }];
const EXITED = [{ name: 'app', state: { terminated: { exitCode: 0 } } }];

async function bypassed(scene: Scene): Promise<void> {
  await scene.until(MESHED);
  await scene.die();
  await scene.until(BYPASSED);
}

describe('what must not be switched', () => {
  story('sockets that cannot be read are no death, however many probes fail', { prepare: ({ network }) => (network.unreadable = 'EACCES') }, async (scene) => {
    await scene.until(MESHED);
    await scene.sidecar.kill();
    await sleep(600);
    expect([scene.network.applies, scene.summary()]).toEqual([0, MESHED]);
  });

  story('a connection that ends while the sidecar goes on is not even told', {}, async (scene) => {
    await scene.until(MESHED);
    const { length } = scene.server.writes;
    const { connections } = scene.sidecar;
    scene.sidecar.dropConnections();
    await eventually('a new connection', () => scene.sidecar.connections > connections);
    await sleep(400);
    expect([scene.network.applies, scene.server.writes.length, scene.summary()]).toEqual([0, length, MESHED]);
  });

  story('a hung sidecar is told of once, and not switched', { policy: { 'probe-timeout': '200ms' } }, async (scene) => {
    await scene.until(MESHED);
    const { length } = scene.server.writes;
    scene.sidecar.hangs = true;
    await scene.until('True Meshed | False Meshed | False ProxyUnresponsive | meshed | istio');
    await sleep(800);
    expect([scene.network.applies, scene.server.writes.length]).toEqual([0, length + 1]);
  });

  story('a sidecar that was never up starts, and is not dead', { dead: true, status: { initContainerStatuses: [], podIP: '' } }, async (scene) => {
    await scene.until('True Meshed | - | Unknown ProxyUnknown | - | istio');
    scene.change({ status: { initContainerStatuses: [] } });
    await scene.until('True Meshed | False Meshed | Unknown ProxyStarting | meshed | istio');
    await scene.live();
    await scene.until(MESHED);
    expect(scene.network.applies).toBe(0);
  });

  story('a pod that is being deleted', { metadata: DYING }, async (scene) => {
    await eventually('probes', () => scene.sidecar.requests > 1);
    await scene.die();
    await sleep(400);
    expect([scene.network.applies, scene.server.events]).toEqual([0, []]);
  });

  story('a Job that is done', {}, async (scene) => {
    await scene.until(MESHED);
    scene.loop.update({
      ...scene.server.pod,
      spec: { ...scene.server.pod.spec, restartPolicy: 'Never' },
      status: { ...scene.server.pod.status, containerStatuses: EXITED },
    });
    scene.server.onChange = () => undefined;
    await scene.die();
    await sleep(400);
    expect([scene.network.applies, scene.server.events]).toEqual([0, []]);
  });

  story('only observed: reported, and well again', { policy: { mode: 'observe' } }, async (scene) => {
    await scene.until(MESHED);
    await scene.die();
    await scene.until('True Observing | False Observing | False ProxyDead | meshed | istio');
    await scene.live();
    await scene.until(MESHED);
    expect([scene.network.applies, scene.server.reasons()]).toEqual([0, ['Observing', 'Meshed']]);
  });

  story('sidecar and application both dead: nothing is claimed until the application is back', {}, async (scene) => {
    await scene.until(MESHED);
    scene.change({ status: { containerStatuses: EXITED } });
    await eventually('kubelet told', () => scene.server.pod.status?.containerStatuses === EXITED);
    await sleep(5);
    await scene.die();
    await scene.until('True Meshed | False Meshed | False ProxyDead | meshed | istio');
    expect(scene.network.applies).toBe(0);
    scene.change({});
    await scene.until(BYPASSED);
  });
});

describe('without consent', () => {
  story('of the pod', { policy: { security: 'refuse' } }, async (scene) => {
    await scene.until(MESHED);
    await scene.die();
    await scene.until(REFUSED);
    await scene.live();
    await scene.until(MESHED);
    expect([scene.network.applies, scene.server.reasons()]).toEqual([0, ['BypassRefused', 'Meshed']]);
  });

  story('of the installation, which is named', { allowed: ['other'] }, async (scene) => {
    await scene.until(MESHED);
    await scene.die();
    await scene.until(REFUSED);
    expect(scene.network.applies).toBe(0);
    expect(scene.server.events[0]?.message).toContain('does not list the namespace demo');
  });

  story('withdrawn during a bypass: it ends, and the gate closes', {}, async (scene) => {
    await bypassed(scene);
    scene.change({ policy: { security: 'refuse' } });
    await scene.until(REFUSED);
    expect([scene.network.text === ATTACHED, lasts(recordIn(scene))]).toEqual([true, false]);
  });

  story('given while blocked: bypassed', { policy: { security: 'refuse' } }, async (scene) => {
    await scene.until(MESHED);
    await scene.die();
    await scene.until(REFUSED);
    scene.change({ policy: { security: 'allow' } });
    await scene.until(BYPASSED);
    expect(rules(scene)).toBe('detached');
  });
});

describe('what fails', () => {
  story('the switch, and works later: nothing is stuck, and there is no storm of writes', {}, async (scene) => {
    await scene.until(MESHED);
    const { length } = scene.server.writes;
    scene.network.failApplies = Number.POSITIVE_INFINITY;
    await scene.die();
    await scene.until('False SwitchFailed | False SwitchFailed | False ProxyDead | blocked | istio');
    expect([rules(scene), recordIn(scene)]).toEqual(['attached', undefined]);
    const startMs = performance.now();
    await sleep(500);
    const seconds = Math.ceil((performance.now() - startMs) / 1000);
    expect(scene.server.writes.length).toBeLessThanOrEqual(length + 3);
    expect(scene.network.applies).toBeLessThanOrEqual(2 * seconds);
    scene.network.failApplies = 0;
    await scene.until(BYPASSED);
    expect([rules(scene), scene.server.reasons()]).toEqual(['detached', ['SwitchFailed', 'ProxyBypassed']]);
    await scene.live();
    await scene.until(MESHED);
    expect(scene.network.text).toBe(ATTACHED);
  });

  story('the switch, and the sidecar comes back: the next death is bypassed without delay', {}, async (scene) => {
    await scene.until(MESHED);
    scene.network.failApplies = 2;
    await scene.die();
    await scene.until('False SwitchFailed | False SwitchFailed | False ProxyDead | blocked | istio');
    await scene.live();
    await scene.until(MESHED);
    await scene.die();
    await scene.until(BYPASSED);
    expect(scene.server.reasons()).toEqual(['SwitchFailed', 'Meshed', 'ProxyBypassed']);
  });

  story('the restore, and works later', {}, async (scene) => {
    await bypassed(scene);
    scene.network.failApplies = 2;
    await scene.live();
    await scene.until('True RestoreFailed | True RestoreFailed | True ProxyHealthy | bypassed | disabled');
    expect([rules(scene), lasts(recordIn(scene))]).toEqual(['detached', true]);
    await scene.until(MESHED);
    expect([scene.network.text === ATTACHED, scene.server.reasons()]).toEqual([true, ['ProxyBypassed', 'RestoreFailed', 'ProxyRestored']]);
  });

  story('the switch takes longer than a second: the gate closes until it is done', {}, async (scene) => {
    await scene.until(MESHED);
    let release = (): void => undefined;
    scene.network.hold = new Promise((resolve) => (release = resolve));
    await scene.die();
    await scene.until('False Switching | False Switching | False ProxyDead | blocked | istio');
    release();
    await scene.until(BYPASSED);
    expect(recordIn(scene)?.entries).toBe(1);
  });

  story('the API server is away for the whole of a bypass: it happens all the same, and the pod tells the truth afterwards', {}, async (scene) => {
    await scene.until(MESHED);
    scene.server.failWrites = Number.POSITIVE_INFINITY;
    await scene.die();
    await eventually('the bypass', () => rules(scene) === 'detached');
    await scene.live();
    await eventually('the restore', () => scene.network.text === ATTACHED);
    await scene.die();
    await eventually('the second bypass', () => rules(scene) === 'detached');
    scene.server.failWrites = 0;
    await scene.until(BYPASSED);
    expect(recordIn(scene)).toMatchObject({ entries: 2, tlsMode: 'istio' });
    await scene.live();
    await scene.until(MESHED);
  });

  story('the API server loses the restore, and the next death comes first: Istio’s label is not forgotten', {}, async (scene) => {
    await bypassed(scene);
    scene.server.failWrites = Number.POSITIVE_INFINITY;
    await scene.live();
    await eventually('the restore', () => scene.network.text === ATTACHED);
    await scene.die();
    await eventually('the second bypass', () => rules(scene) === 'detached');
    scene.server.failWrites = 0;
    await eventually('the second bypass written', () => recordIn(scene)?.entries === 2);
    expect(recordIn(scene)?.tlsMode).toBe('istio');
    await scene.live();
    await scene.until(MESHED);
  });
});

describe('a death', () => {
  story('is bypassed, and everything is back after it', {}, async (scene) => {
    await bypassed(scene);
    expect(rules(scene)).toBe('detached');
    expect(recordIn(scene)).toEqual({ since: expect.any(String), bootID: 'boot-1', tlsMode: 'istio', entries: 1 });
    await scene.live();
    await scene.until(MESHED);
    expect(scene.network.text).toBe(ATTACHED);
    expect(recordIn(scene)?.until).toBeDefined();
    expect(scene.server.reasons()).toEqual(['ProxyBypassed', 'ProxyRestored']);
    const { length } = scene.server.writes;
    await sleep(300);
    expect(scene.server.writes).toHaveLength(length);
  });

  story('rules and status are changed at the same time: the status waits for no rules', {}, async (scene) => {
    await scene.until(MESHED);
    let release = (): void => undefined;
    scene.network.hold = new Promise((resolve) => (release = resolve));
    await scene.die();
    await scene.until(BYPASSED);
    expect([scene.network.applies, rules(scene)]).toEqual([1, 'attached']);
    release();
    await eventually('the rules', () => rules(scene) === 'detached');
  });

  story('nor do the rules wait for the status', {}, async (scene) => {
    await scene.until(MESHED);
    let release = (): void => undefined;
    scene.server.hold = new Promise((resolve) => (release = resolve));
    await scene.die();
    await eventually('the rules', () => rules(scene) === 'detached');
    expect(scene.summary()).toBe(MESHED);
    release();
    await scene.until(BYPASSED);
  });

  story('between two probes is not waited for', { policy: { 'probe-period': '60s' } }, async (scene) => {
    await scene.until(MESHED);
    await scene.die();
    await eventually('the rules', () => rules(scene) === 'detached');
    expect(scene.sidecar.requests).toBe(1);
  });

  story('of which the kernel closes the listeners a little later', { policy: { 'probe-period': '60s' } }, async (scene) => {
    await scene.until(MESHED);
    const { length } = scene.server.writes;
    await scene.sidecar.kill();
    await sleep(60);
    scene.network.ports = [8080];
    await eventually('the rules', () => rules(scene) === 'detached');
    await scene.until(BYPASSED);
    // Nothing else was written in between, for which the status would have had to wait.
    expect([scene.server.writes.length, scene.server.reasons()]).toEqual([length + 1, ['ProxyBypassed']]);
  });

  story('again and again: Istio’s label and the rules are as found in the end', {}, async (scene) => {
    for (let round = 1; round <= 3; round += 1) {
      await bypassed(scene);
      expect(recordIn(scene)?.entries).toBe(round);
      await scene.live();
    }
    await scene.until(MESHED);
    expect(scene.network.text).toBe(ATTACHED);
  });

  story('that is over at once: whatever is done about it is undone', {}, async (scene) => {
    await scene.until(MESHED);
    for (let round = 0; round < 3; round += 1) {
      await scene.die();
      await scene.live();
      await sleep(50 * round);
    }
    await eventually('the rules', () => scene.network.text === ATTACHED);
    await scene.until(MESHED);
  });

  story('is bypassed until kubelet, too, calls the sidecar ready', {}, async (scene) => {
    await bypassed(scene);
    scene.change({ status: { initContainerStatuses: NOT_READY } });
    await scene.live();
    await scene.until(BYPASSED.replace('False ProxyDead', 'True ProxyHealthy'));
    await sleep(300);
    expect(rules(scene)).toBe('detached');
    scene.change({});
    await scene.until(MESHED);
  });

  story('lasts at least as long as min-bypass-duration', { policy: { 'min-bypass-duration': '900ms' } }, async (scene) => {
    await scene.until(MESHED);
    const startMs = performance.now();
    await scene.die();
    await scene.until(BYPASSED);
    await scene.live();
    await scene.until(MESHED);
    expect(performance.now() - startMs).toBeGreaterThan(900);
  });
});

describe("Istio's label", () => {
  for (const [name, labels] of Object.entries({ absent: {}, disabled: { [TLS_MODE]: 'disabled' } })) {
    story(`${name} before a bypass is so after it`, { metadata: { labels } }, async (scene) => {
      const end = (text: string): string => text.replace('istio', name === 'absent' ? '-' : name);
      await scene.until(end(MESHED));
      await scene.die();
      await scene.until(BYPASSED);
      await scene.live();
      await scene.until(end(MESHED));
      expect(scene.server.pod.metadata.labels).toEqual({ ...labels, 'hot-switch.io/traffic': 'meshed' });
    });
  }
});

describe('a policy that changes during a bypass', () => {
  story('off: the rules are put back, dead or not', {}, async (scene) => {
    await bypassed(scene);
    scene.change({ policy: { mode: 'off' } });
    await scene.until('True Meshed | False Meshed | False ProxyDead | meshed | istio');
    expect(scene.network.text).toBe(ATTACHED);
  });

  story('observe: what is done stays until the sidecar is back', {}, async (scene) => {
    await bypassed(scene);
    scene.change({ policy: { mode: 'observe' } });
    await sleep(200);
    expect(scene.summary()).toBe(BYPASSED);
    await scene.live();
    await scene.until(MESHED);
    expect(scene.network.text).toBe(ATTACHED);
  });

  story('a stamp that is taken away counts as the defaults, which refuse', {}, async (scene) => {
    await bypassed(scene);
    const { pod } = scene.server;
    scene.server.set({ ...pod, metadata: { ...pod.metadata, annotations: { [BYPASS_RECORD]: pod.metadata.annotations?.[BYPASS_RECORD] ?? '' } } });
    await scene.until(REFUSED);
    expect(scene.network.text).toBe(ATTACHED);
  });
});

test.concurrent('a pod that is deleted during a bypass stays as it is', async () => {
  const scene = await makeScene();
  await bypassed(scene);
  scene.change({ metadata: DYING });
  await scene.live();
  await sleep(500);
  expect([rules(scene), scene.summary().startsWith('True ProxyBypassed | True ProxyBypassed')]).toEqual(['detached', true]);
  await scene.stop();
  expect(scene.network.closed).toBe(true);
});

describe('an agent that is started again', () => {
  story('during a bypass: nothing is doubled or forgotten, its own port answers probes, and the restore works', {}, async (scene) => {
    await bypassed(scene);
    const before = recordIn(scene);
    const { length } = scene.server.writes;
    await scene.restartAgent();
    await eventually('the probe redirect', () => scene.network.text.includes(`--to-ports ${scene.network.probePort}`));
    await sleep(100);
    expect(scene.network.text.match(/hot-switch probes/g)).toHaveLength(1);
    expect([scene.summary(), recordIn(scene), scene.server.writes.length]).toEqual([BYPASSED, before, length]);
    await scene.live();
    await scene.until(MESHED);
    expect([scene.network.text === ATTACHED, scene.server.reasons()]).toEqual([true, ['ProxyBypassed', 'ProxyRestored']]);
  });

  story('after a bypass that nobody was told of', {}, async (scene) => {
    await scene.until(MESHED);
    scene.server.failWrites = Number.POSITIVE_INFINITY;
    await scene.die();
    await eventually('the bypass', () => rules(scene) === 'detached');
    await scene.restartAgent();
    scene.server.failWrites = 0;
    await scene.until(BYPASSED);
    expect(recordIn(scene)?.tlsMode).toBe('istio');
    await scene.live();
    await scene.until(MESHED);
  });

  story('after a restore that nobody was told of', {}, async (scene) => {
    await bypassed(scene);
    scene.server.failWrites = Number.POSITIVE_INFINITY;
    await scene.live();
    await eventually('the restore', () => scene.network.text === ATTACHED);
    await scene.restartAgent();
    scene.server.failWrites = 0;
    await scene.until(MESHED);
    expect(lasts(recordIn(scene))).toBe(false);
  });

  story('while everything is well writes nothing', {}, async (scene) => {
    await scene.until(MESHED);
    const { length } = scene.server.writes;
    await scene.restartAgent();
    await eventually('probes', () => scene.network.saves > 0);
    await sleep(300);
    expect([scene.summary(), scene.server.writes.length, scene.network.applies]).toEqual([MESHED, length, 0]);
  });

  story('while blocked: the gate stays closed until the sidecar answers', { policy: { security: 'refuse' } }, async (scene) => {
    await scene.until(MESHED);
    await scene.die();
    await scene.until(REFUSED);
    await scene.restartAgent();
    await sleep(300);
    expect(scene.summary()).toBe(REFUSED);
    await scene.live();
    await scene.until(MESHED);
  });

  story(
    'after the node was booted: the bypass of then is over',
    {
      metadata: {
        labels: { [TLS_MODE]: 'disabled', 'hot-switch.io/traffic': 'bypassed' },
        annotations: { [BYPASS_RECORD]: JSON.stringify({ ...running(60_000), bootID: 'boot-0' }) },
      },
    },
    async (scene) => {
      await scene.until(MESHED);
      expect(lasts(recordIn(scene))).toBe(false);
      await scene.die();
      await scene.until(BYPASSED);
      expect(recordIn(scene)?.bootID).toBe('boot-1');
    },
  );
});

describe('half a bypass', () => {
  const partial = ATTACHED.replace(':ISTIO_INBOUND', ':HOT_SWITCH_PARKED - [0:0]\n:ISTIO_INBOUND')
    .replace('-A PREROUTING -p tcp -j ISTIO_INBOUND\n', '')
    .replace('-A ISTIO_INBOUND', '-A HOT_SWITCH_PARKED -p tcp -m comment --comment "hot-switch PREROUTING 1" -j ISTIO_INBOUND\n-A ISTIO_INBOUND');

  story('of a dead sidecar is completed', { text: partial, dead: true }, async (scene) => {
    expect(rules(scene)).toBe('partial');
    await scene.until(BYPASSED);
    expect(rules(scene)).toBe('detached');
  });

  story('of a healthy one is put back', { text: partial }, async (scene) => {
    await scene.until(MESHED);
    expect(scene.network.text).toBe(ATTACHED);
  });

  story('without consent is put back at once', { text: partial, dead: true, allowed: [] }, async (scene) => {
    await scene.until(REFUSED);
    expect(scene.network.text).toBe(ATTACHED);
  });
});

describe('the pod’s namespace', () => {
  story('is looked for again until it is found', { prepare: ({ networks }) => (networks.failOpens = 2) }, async (scene) => {
    await scene.until(MESHED);
    expect(scene.networks.opens).toBe(3);
  });

  story('of a replaced sandbox is another: in it the sidecar is not dead but starting', {}, async (scene) => {
    await scene.until(MESHED);
    const next = await makePodNetwork();
    const sidecar = new SidecarServer();
    next.ports = [8080];
    scene.networks.list.splice(0, 1, next);
    scene.network.isValid = false;
    await scene.sidecar.kill();
    await eventually('the new one open', () => next.saves > 0);
    scene.change({ status: { podIP: sidecar.address } });
    await scene.until('True Meshed | False Meshed | Unknown ProxyStarting | meshed | istio');
    await sidecar.start();
    next.ports = [8080, 15001, 15006, 15021];
    await scene.until(MESHED);
    expect([scene.network.closed, scene.network.applies, next.applies]).toEqual([true, 0, 0]);
    await scene.stop();
    await sidecar.kill();
    await next.close();
  });

  story('is left only after the switch that is under way', {}, async (scene) => {
    await scene.until(MESHED);
    let release = (): void => undefined;
    scene.network.hold = new Promise((resolve) => (release = resolve));
    await scene.die();
    await eventually('the change under way', () => scene.network.applies === 1);
    const stopped = scene.loop.stop();
    await sleep(20);
    expect(scene.network.closed).toBe(false);
    release();
    await stopped;
    expect([scene.network.closed, rules(scene)]).toEqual([true, 'detached']);
  });
});
