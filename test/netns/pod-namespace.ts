import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../src/adapters/netns/exec.ts';
import { openPodNetns, type PodNetns } from '../../src/adapters/netns/handle.ts';
import { inside } from '../../src/adapters/netns/iptables.ts';

/** A real network namespace with one address and a process in a cgroup that names a pod UID, as kubelet makes them. */
export interface PodNamespace {
  readonly name: string;
  readonly podUid: string;
  readonly podIP: string;
  /** Address of the other end, in the namespace of the test. */
  readonly nodeIP: string;
  /** Folder of its cgroup. */
  readonly cgroup: string;
  readonly sandbox: ChildProcess & { readonly pid: number };
  netns(): Promise<PodNetns>;
  /** Runs a command in the namespace. */
  run(...argv: [string, ...string[]]): Promise<string>;
  close(): Promise<void>;
}

const PREFIX = 'hs-test';
/** Any hierarchy will do: /proc/<pid>/cgroup lists all. */
const CGROUP_ROOTS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/pids', '/sys/fs/cgroup'];

/** Why these tests cannot run here; undefined when they can. */
export function missing(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root: run these tests as root';
  return undefined;
}

/** A command that must end well. */
export async function sh(...argv: [string, ...string[]]): Promise<string> {
  return run(argv, { timeoutMs: 10_000 });
}

/** Removes what test runs that are dead left behind: names carry the process ID of their run. */
export async function sweep(): Promise<void> {
  const names = (await sh('ip', 'netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const name of names.filter((text) => isStale(text))) await sh('ip', 'netns', 'del', name);
  for (const root of CGROUP_ROOTS.filter((path) => existsSync(path))) {
    for (const name of readdirSync(root).filter((text) => isStale(text))) await emptyCgroup(join(root, name));
  }
}

function isStale(name: string): boolean {
  const pid = new RegExp(`^${PREFIX}-(\\d+)-[0-9a-f]{6}$`).exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

/** Ends what runs in a cgroup of ours, and removes it. */
async function emptyCgroup(root: string): Promise<void> {
  const procs = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => basename(path) === 'cgroup.procs');
  const pids = procs.flatMap((path) => readFileSync(join(root, path), 'utf8').split('\n')).filter((pid) => /^[1-9]\d*$/.test(pid));
  for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
  // A cgroup is busy until the kernel has reaped its last process.
  for (let tries = 0; ; tries += 1) {
    try {
      return removeCgroup(root);
    } catch (error) {
      if (tries === 50) throw error;
      await delay(20);
    }
  }
}

function removeCgroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }).filter((found) => found.isDirectory())) removeCgroup(join(path, entry.name));
  rmdirSync(path);
}

/** Makes one; the caller closes it in any case. */
export async function makePodNamespace(options: { readonly driver?: 'cgroupfs' | 'systemd'; readonly podUid?: string } = {}): Promise<PodNamespace> {
  const problem = missing();
  if (problem !== undefined) throw new Error(problem);
  const { podUid = randomUUID(), driver = 'cgroupfs' } = options;
  const id = randomBytes(3).toString('hex');
  const name = `${PREFIX}-${process.pid}-${id}`;
  // 198.18.0.0/15 is for benchmarks (RFC 2544): a subnet of four addresses for each namespace.
  const subnet = randomBytes(3).readUIntBE(0, 3) % 32_768;
  const address = (last: number): string => `198.${18 + (subnet >> 14)}.${(subnet >> 6) & 255}.${((subnet << 2) & 255) + last}`;
  const [nodeIP, podIP] = [address(1), address(2)];

  await sh('ip', 'netns', 'add', name);
  const sandbox = spawn('ip', ['netns', 'exec', name, 'sleep', '600'], { stdio: 'ignore' }) as PodNamespace['sandbox'];
  const cgroup = makeCgroup(name, podUid, driver);
  const close = async (): Promise<void> => {
    const ended = new Promise((resolve) => {
      if (sandbox.exitCode !== null || sandbox.signalCode !== null) resolve(undefined);
      sandbox.on('exit', resolve);
    });
    sandbox.kill('SIGKILL');
    await ended;
    await sh('ip', 'netns', 'del', name);
    await emptyCgroup(cgroup.root);
  };
  try {
    writeFileSync(join(cgroup.leaf, 'cgroup.procs'), String(sandbox.pid));
    await sh('ip', 'link', 'add', `hst${id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    await sh('ip', 'addr', 'add', `${nodeIP}/30`, 'dev', `hst${id}`);
    await sh('ip', 'link', 'set', `hst${id}`, 'up');
    await sh('ip', '-n', name, 'addr', 'add', `${podIP}/30`, 'dev', 'eth0');
    await sh('ip', '-n', name, 'link', 'set', 'eth0', 'up');
    await sh('ip', '-n', name, 'link', 'set', 'lo', 'up');
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name,
    podUid,
    podIP,
    nodeIP,
    cgroup: cgroup.leaf,
    sandbox,
    async netns() {
      const opened = await openPodNetns({ procRoot: '/proc', podUid, podIPs: [podIP] });
      if (!opened.found) throw new Error(opened.why);
      return opened.netns;
    },
    run: (...argv) => sh('ip', 'netns', 'exec', name, ...argv),
    close,
  };
}

function makeCgroup(name: string, podUid: string, driver: 'cgroupfs' | 'systemd'): { readonly root: string; readonly leaf: string } {
  const parent = CGROUP_ROOTS.find((path) => existsSync(path) && existsSync(join(path, 'cgroup.procs')));
  if (parent === undefined) throw new Error('no cgroup file system is mounted at /sys/fs/cgroup');
  const root = join(parent, name);
  const leaf =
    driver === 'cgroupfs'
      ? join(root, 'kubepods', 'burstable', `pod${podUid}`, 'c0ffee')
      : join(root, 'kubepods.slice', 'kubepods-burstable.slice', `kubepods-burstable-pod${podUid.replaceAll('-', '_')}.slice`, 'cri-containerd-c0ffee.scope');
  mkdirSync(leaf, { recursive: true });
  return { root, leaf };
}

/** The rules of the namespace as iptables-save prints them, without comments (they hold the time). */
export async function savedRules(netns: PodNetns): Promise<string> {
  const text = await run(inside('nsenter', ['iptables-nft-save']), { timeoutMs: 5000, fds: [netns.fd] });
  return text.replaceAll(/^#.*\n?/gm, '');
}

/** Programs the redirection with Istio's own program, as its init container does. */
export async function programIstio(pod: PodNamespace, env: Readonly<Record<string, string>> = {}, ...more: readonly string[]): Promise<void> {
  // The runner of the test says where the program is.
  const binary = process.env['HOT_SWITCH_ISTIO_BINARY'];
  if (binary === undefined) throw new Error('HOT_SWITCH_ISTIO_BINARY must name the program that has `pilot-agent istio-iptables`');
  const flags = ['-p', '15001', '-z', '15006', '-u', '1337', '-m', 'REDIRECT', '-i', '*', '-x', '', '-b', '*', '-d', '15090,15021,15020'];
  const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  await pod.run('env', ...settings, binary, 'pilot-agent', 'istio-iptables', ...flags, ...more);
}
