import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalAddress, parseFibTrie, parseIfInet6 } from './proc-net.ts';
import { codeOf, isGone, netnsOf, readBounded, scanPodProcesses, startTicksOfPid, type PodProcess } from './proc.ts';

/** The network namespace of one pod, held open: it stays the same one whatever happens to processes and names. */
export interface PodNetns {
  readonly procRoot: string;
  /** The process through which it was found: the pod's oldest, its sandbox. */
  readonly pid: number;
  readonly inode: string;
  readonly fd: number;
  /** Whether the same process is still in the same namespace; false also when that cannot be read. */
  valid(): Promise<boolean>;
  close(): Promise<void>;
}

export type OpenedNetns = { readonly found: true; readonly netns: PodNetns } | { readonly found: false; readonly why: string };

export interface OpenNetnsOptions {
  /** Where the host's proc file system is mounted, e.g. `/proc`. */
  readonly procRoot: string;
  readonly podUid: string;
  readonly podIPs: readonly string[];
  /** A scan that was started after the pod got its addresses, when many pods are opened; else one is made. */
  readonly scan?: readonly PodProcess[];
}

/**
 * Finds and opens the network namespace of a pod: a process whose cgroup names the pod's UID, oldest first, in a namespace that is
 * not the host's nor ours and that holds all of the pod's addresses. A cgroup alone proves nothing: a process may be on its way through another namespace.
 */
export async function openPodNetns(options: OpenNetnsOptions): Promise<OpenedNetns> {
  const { procRoot, podUid } = options;
  const addresses = options.podIPs.map((ip) => canonicalAddress(ip));
  if (addresses.length === 0) return { found: false, why: 'the pod has no address yet' };
  const excluded = await nodeNamespaces(procRoot);
  const processes = (options.scan ?? (await scanPodProcesses(procRoot))).filter((process) => process.podUids.includes(podUid));
  const candidates = processes.filter((process) => !excluded.has(process.netns)).sort((a, b) => a.startTicks - b.startTicks);
  const looked = new Set<string>();
  for (const process of candidates) {
    if (looked.has(process.netns)) continue;
    const netns = await openVerified(procRoot, process, addresses);
    if (netns !== undefined) return { found: true, netns };
    looked.add(process.netns);
  }
  if (processes.length === 0) return { found: false, why: 'no process has the UID of the pod in its cgroup' };
  if (candidates.length === 0) return { found: false, why: 'the processes of the pod are in the network namespace of the node' };
  return { found: false, why: 'no network namespace of its processes holds the addresses of the pod' };
}

/** Namespaces that are never a pod's: that of the node's first process, where we may look at it, and our own (the agent uses the node's network). */
async function nodeNamespaces(procRoot: string): Promise<ReadonlySet<string>> {
  const first = await netnsOf(procRoot, 1).catch((error: unknown) => {
    if (codeOf(error) === 'EACCES') return '';
    throw error;
  });
  return new Set([first, await netnsOf('/proc', 'self')]);
}

async function openVerified(procRoot: string, process: PodProcess, addresses: readonly (string | undefined)[]): Promise<PodNetns | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(join(procRoot, String(process.pid), 'ns', 'net'), 'r');
    const { dev, ino } = await file.stat({ bigint: true });
    const held = await localAddresses(procRoot, process.pid);
    const netns = netnsHandle(procRoot, process, { file, inode: String(ino) });
    // The addresses are those of the namespace that the process was in while they were read: look that it is still the one we opened.
    const same = `${dev}:${ino}` === process.netns && (await netns.valid());
    if (same && addresses.every((address) => address !== undefined && held.has(address))) return netns;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  await file?.close();
  return undefined;
}

async function localAddresses(procRoot: string, pid: number): Promise<ReadonlySet<string>> {
  const net = join(procRoot, String(pid), 'net');
  const ipv4 = parseFibTrie(await readBounded(join(net, 'fib_trie'), 16 * 1024 * 1024));
  const ipv6 = await readBounded(join(net, 'if_inet6'), 1024 * 1024).catch((error: unknown) => {
    // A kernel without IPv6 has no such file.
    if (isGone(error)) return '';
    throw error;
  });
  return new Set([...ipv4, ...parseIfInet6(ipv6)]);
}

function netnsHandle(procRoot: string, { pid, netns, startTicks }: PodProcess, opened: { readonly file: FileHandle; readonly inode: string }): PodNetns {
  let closed: Promise<void> | undefined;
  return {
    procRoot,
    pid,
    inode: opened.inode,
    fd: opened.file.fd,
    async valid() {
      if (closed !== undefined) return false;
      try {
        const [now, ticks] = await Promise.all([netnsOf(procRoot, pid), startTicksOfPid(procRoot, pid)]);
        return now === netns && ticks === startTicks;
      } catch {
        return false;
      }
    },
    close() {
      closed ??= opened.file.close();
      return closed;
    },
  };
}
