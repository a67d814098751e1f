import type { Server } from 'node:net';
import type { Networks, PodNetwork } from '../../agent/ports.ts';
import type { Pod } from '../../core/pod.ts';
import { openPodNetns, type PodNetns } from './handle.ts';
import { createIptables, type Iptables, type PoisedChange } from './iptables.ts';
import { listenInside } from './listen.ts';
import { listeners } from './listeners.ts';

/** First of the ports that the agent tries for answering app probes inside a pod; not one of Istio's, and out of the ephemeral range. */
const FIRST_PROBE_PORT = 15_920;
const PROBE_PORTS = 8;
/** Each opening starts a short-lived process; a node full of pods must not start a hundred at once. */
const MAX_OPENING = 2;

/** The network namespaces of this node's pods, as found below `procRoot`. */
export function createNetworks(procRoot: string): Networks {
  const iptables = createIptables();
  const places = createPlaces(MAX_OPENING);
  return {
    open: (pod) =>
      places(async () => {
        const netns = await find(procRoot, pod);
        try {
          const { server, port } = await listen(netns);
          const changes = createChanges(iptables, netns);
          return {
            sandbox: `${netns.pid}:${netns.inode}`,
            probeServer: server,
            probePort: port,
            save: () => iptables.save(netns),
            apply: changes.apply,
            poise: changes.poise,
            listeners: () => listeners(netns),
            valid: () => netns.valid(),
            close: async () => {
              server.close();
              await netns.close();
            },
          };
        } catch (error) {
          await netns.close();
          throw error;
        }
      }),
  };
}

/** A poised change that nobody makes is given up after this time; shorter than its command may run. */
const POISED_MS = 1000;

/** Changes of one namespace's rules, the next one poised if it was asked for. */
function createChanges(iptables: Iptables, netns: PodNetns): Pick<PodNetwork, 'apply' | 'poise'> {
  let poised: { readonly change: PoisedChange; readonly timer: NodeJS.Timeout } | undefined;
  const take = (): PoisedChange | undefined => {
    const taken = poised?.change;
    clearTimeout(poised?.timer);
    poised = undefined;
    return taken;
  };
  return {
    apply: (text) => (take() ?? iptables.poise(netns)).apply(text),
    poise() {
      if (poised === undefined) poised = { change: iptables.poise(netns), timer: setTimeout(() => take()?.cancel(), POISED_MS) };
    },
  };
}

async function find(procRoot: string, pod: Pod): Promise<PodNetns> {
  const podIPs = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const opened = await openPodNetns({ procRoot, podUid: pod.metadata.uid ?? '', podIPs: podIPs.length > 0 ? podIPs : [pod.status?.podIP ?? ''] });
  if (!opened.found) throw new Error(opened.why);
  return opened.netns;
}

/** Another program of the pod, or an agent that is being replaced, may have the first port. */
async function listen(netns: PodNetns): Promise<{ server: Server; port: number }> {
  let last: unknown;
  for (let port = FIRST_PROBE_PORT; port < FIRST_PROBE_PORT + PROBE_PORTS; port++) {
    try {
      return { server: await listenInside(netns, { port }), port };
    } catch (error) {
      last = error;
      if (!String(error).includes('EADDRINUSE')) break;
    }
  }
  throw new Error('no listener for probes inside the pod', { cause: last });
}

function createPlaces(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
