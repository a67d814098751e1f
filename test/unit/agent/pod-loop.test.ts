import { expect } from '@jest/globals';
import { BYPASS_RECORD } from '../../../src/api/keys.ts';
import { lasts } from '../../../src/core/bypass-history.ts';
import { eventually, sleep } from '../../support/eventually.ts';
import { ATTACHED } from '../../support/fake-pod-network.ts';
import { BYPASSED, MESHED, REFUSED, TLS_MODE } from '../../support/pod-scene.ts';
import { bypassed, chapter, recordIn, rules, story } from '../../support/pod-stories.ts';

const DYING = { deletionTimestamp: '2026-03-01T12:00:00Z' };
const NOT_READY = [{ name: 'istio-proxy', ready: false, restartCount: 1 }];
const EXITED = [{ name: 'app', state: { terminated: { exitCode: 0 } } }];

chapter('what must not be switched', () => {
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

chapter('without consent', () => {
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

chapter('a death', () => {
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

chapter("Istio's label", () => {
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

chapter('a policy that changes during a bypass', () => {
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
