import { describe, expect, test } from '@jest/globals';
import { podUidsOf, startTicksOf } from '../../../../src/adapters/netns/proc-pid.ts';

const UID = '2c48913c-b29f-11e7-9350-020968147796';

describe('podUidsOf', () => {
  test.each([
    ['cgroupfs', `0::/kubepods/burstable/pod${UID}/9bca8d63d5fa`],
    ['cgroupfs, version 1, several hierarchies', `9:name=systemd:/kubepods/pod${UID}/9bca\n8:pids:/kubepods/pod${UID}/9bca\n0::/\n`],
    ['systemd', `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${UID.replaceAll('-', '_')}.slice/cri-containerd-9bca.scope`],
    ['systemd, guaranteed', `0::/kubepods.slice/kubepods-pod${UID.replaceAll('-', '_')}.slice/crio-9bca.scope`],
    ['systemd paths given to the cgroupfs driver', `0::/kubepods-besteffort-pod${UID.replaceAll('-', '_')}.slice:cri-containerd:b2a1`],
    ['below another cgroup namespace', `0::/../../pod${UID}/9bca`],
    ['a sub-cgroup of a container', `0::/kubepods/pod${UID}/9bca/init.scope`],
    ['the cgroup of the pod itself', `0::/kubepods/pod${UID}\n`],
  ])('%s', (_, cgroup) => expect(podUidsOf(cgroup)).toEqual([UID]));

  test.each(['', '0::/', '0::/system.slice/kubelet.service', `0::/kubepods/pod${UID}0/x`, `0::/mypod${UID}/x`, '0::/kubepods/podNOT-A-UID/x'])(
    '%j names no pod',
    (cgroup) => {
      expect(podUidsOf(cgroup)).toEqual([]);
    },
  );

  test('a cluster inside of a pod names both', () => {
    const inner = UID.replace('2c', '3d');
    expect(podUidsOf(`0::/kubepods/pod${UID}/9bca/kubelet/kubepods/pod${inner}/1`)).toEqual([UID, inner]);
  });
});

describe('startTicksOf', () => {
  const rest = `S 1 1 1 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 200`;
  test.each(['(sleep)', '(a) b (c)', '(tricky) S 1 1 1 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 1)'])('a program called %s', (name) => {
    expect(startTicksOf(`42 ${name} ${rest}`)).toBe(987_654);
  });
  test.each(['', '42 (sleep) S 1', rest])('%j has none', (text) => expect(startTicksOf(text)).toBeUndefined());
});
