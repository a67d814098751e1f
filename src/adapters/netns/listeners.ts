import { join } from 'node:path';
import type { ListenersReading } from '../../core/proc-net.ts';
import type { PodNetns } from './handle.ts';
import { parseListeners, whenListenersEnd } from './proc-net.ts';
import { isGone, readBounded } from './proc.ts';

const MAX_BYTES = 4 * 1024 * 1024;

/** TCP sockets that listen in the namespace, from /proc/<pid>/net/tcp and tcp6; unknown when the process left it or a file cannot be read. */
export async function listeners(netns: PodNetns): Promise<ListenersReading> {
  try {
    if (!(await netns.valid())) return { known: false, why: 'the process is not in the network namespace any more' };
    const net = join(netns.procRoot, String(netns.pid), 'net');
    const [ipv4, ipv6] = await Promise.all([
      readBounded(join(net, 'tcp'), MAX_BYTES, whenListenersEnd).then(parseListeners),
      readBounded(join(net, 'tcp6'), MAX_BYTES, whenListenersEnd).then(parseListeners, withoutIPv6),
    ]);
    if (!ipv4.known || !ipv6.known) return ipv4.known ? ipv6 : ipv4;
    // The files are those of the namespace that the process was in while they were read.
    if (!(await netns.valid())) return { known: false, why: 'the process left the network namespace meanwhile' };
    return { known: true, listeners: [...ipv4.listeners, ...ipv6.listeners] };
  } catch (cause) {
    return { known: false, why: cause instanceof Error ? cause.message : String(cause) };
  }
}

function withoutIPv6(error: unknown): ListenersReading {
  // A kernel without IPv6 has no such file; a process that ended is noticed by the check that follows.
  if (isGone(error)) return { known: true, listeners: [] };
  throw error;
}
