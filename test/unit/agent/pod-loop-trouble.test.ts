import { expect } from '@jest/globals';
import { BYPASS_RECORD } from '../../../src/api/keys.ts';
import { lasts } from '../../../src/core/bypass-history.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { ATTACHED, makePodNetwork } from '../../support/fake-pod-network.ts';
import { BYPASSED, MESHED, REFUSED, TLS_MODE } from '../../support/pod-scene.ts';
import { bypassed, chapter, recordIn, rules, story } from '../../support/pod-stories.ts';
import { SidecarServer } from '../../support/sidecar-server.ts';
import { running } from '../../support/snapshot.ts';

const DYING = { deletionTimestamp: '2026-03-01T12:00:00Z' };

chapter('what fails', () => {
  story('the switch, and works later: nothing is stuck, and there is no storm of writes', {}, async (scene) => {
    await scene.until(MESHED);
    const { length } = scene.server.writes;
    scene.network.failApplies = Number.POSITIVE_INFINITY;
    await scene.die();
    await scene.until('False SwitchFailed | False SwitchFailed | False ProxyDead | blocked | istio');
    expect([rules(scene), recordIn(scene)]).toEqual(['attached', undefined]);
    await sleep(300);
    expect(scene.network.applies).toBeLessThanOrEqual(4);
    await eventually('the second try', () => scene.network.applies >= 4);
    await sleep(50);
    // The wish, and that it failed; nothing more for the second try.
    expect([scene.server.writes.length, recordIn(scene)]).toEqual([length + 2, undefined]);
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

chapter('a pod that is deleted', () => {
  story('during a bypass: it stays as it is, and the namespace is left with the pod', {}, async (scene) => {
    await bypassed(scene);
    scene.change({ metadata: DYING });
    await scene.live();
    await sleep(500);
    expect([rules(scene), scene.summary().startsWith('True ProxyBypassed | True ProxyBypassed')]).toEqual(['detached', true]);
    await scene.loop.stop();
    expect(scene.network.closed).toBe(true);
  });
});

chapter('an agent that is started again', () => {
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

chapter('half a bypass', () => {
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

chapter('the pod’s namespace', () => {
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
