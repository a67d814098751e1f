import { readdirSync, readFileSync } from 'node:fs';

/** PIDs on the lab's node of a pod's processes with this program name (/proc/PID/comm). */
export function processesOf(podUid: string, comm: string): number[] {
  const forms = [podUid, podUid.replaceAll('-', '_')];
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      const isPods = forms.some((form) => cgroup.includes(form));
      return isPods && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === comm ? [pid] : [];
    } catch {
      return []; // it has just ended
    }
  });
}

/** Kills the pod's Envoy whenever there is one, until stopped: the sidecar ends in CrashLoopBackOff. Gives the times of the kills, epoch ms with fractions. */
export function killEnvoyOverAndOver(podUid: string): { readonly kills: readonly number[]; stop(): void } {
  const kills: number[] = [];
  const once = (): void => {
    const pids = processesOf(podUid, 'envoy');
    if (pids.length === 0) return;
    kills.push(performance.timeOrigin + performance.now());
    for (const pid of pids) process.kill(pid, 'SIGKILL');
  };
  once();
  const timer = setInterval(once, 200);
  return { kills, stop: () => clearInterval(timer) };
}
