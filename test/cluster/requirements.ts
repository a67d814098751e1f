import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withProgress } from './progress.ts';
import { run, tryRun } from './run.ts';

/** Something the lab needs is missing; the message says what, and how to get it. */
export class RequirementError extends Error {}

/** Programs the lab needs on the machine, with the Debian package of each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  'iptables-nft': 'iptables',
  nft: 'nftables',
  ip: 'iproute2',
  ss: 'iproute2',
  conntrack: 'conntrack',
  busybox: 'busybox-static',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  tar: 'tar',
  unzip: 'unzip',
  curl: 'curl',
};
const CNI_FOLDER = '/usr/lib/cni';

/** The first of these that holds the CNI plugins. */
export const CNI_FOLDERS = [CNI_FOLDER, '/opt/cni/bin'] as const;

/** Checks platform and rights, and installs Debian packages that are missing. Throws RequirementError. */
export async function ensureRequirements(): Promise<void> {
  if (process.platform !== 'linux')
    throw new RequirementError(
      `The cluster in a box needs Linux (network namespaces, cgroups, iptables); this is ${process.platform}. Use a Linux machine or VM.`,
    );
  const missing = missingPackages();
  if (process.getuid?.() !== 0) {
    const also = missing.length === 0 ? '' : ` Also missing: the Debian packages ${missing.join(' ')}.`;
    throw new RequirementError(`The cluster in a box needs root (it makes namespaces, mounts and cgroups of its own). Run the same command as root.${also}`);
  }
  if (missing.length > 0) await install(missing);
  if (findProgram('go') === undefined)
    throw new RequirementError(
      'Go 1.26 or newer is needed to build Kubernetes and Istio for the cluster in a box, and no "go" is on the PATH. Install Go, then run the same command again.',
    );
}

function missingPackages(): string[] {
  const missing = new Set(Object.entries(PROGRAMS).flatMap(([program, pkg]) => (findProgram(program) === undefined ? [pkg] : [])));
  if (!CNI_FOLDERS.some((folder) => existsSync(join(folder, 'bridge')))) missing.add('containernetworking-plugins');
  return [...missing].sort();
}

/** The path of a program, searched on PATH and in the system's folders. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin', '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

async function install(packages: readonly string[]): Promise<void> {
  if (findProgram('apt-get') === undefined)
    throw new RequirementError(`These Debian packages (or what they hold) are needed: ${packages.join(' ')}. There is no apt-get here; install them by hand.`);
  if (packages.includes('containerd') && findProgram('dockerd') !== undefined) {
    throw new RequirementError(
      'Docker is installed, but no containerd is on the PATH; Debian’s package could conflict with Docker’s. Install the containerd that goes with your Docker.',
    );
  }
  await withProgress(`Installing Debian packages: ${packages.join(' ')}`, 30, async () => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-qq'], { env, timeoutMs: 300_000 });
    await withoutServices(packages, () =>
      run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env, timeoutMs: 600_000, mayOutlive: true }),
    );
  });
}

/** Runs an installation so that no service of the packages is started or stays enabled. */
async function withoutServices(packages: readonly string[], work: () => Promise<unknown>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await work();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
  if (packages.includes('containerd') && findProgram('systemctl') !== undefined) await tryRun('systemctl', ['disable', 'containerd.service']);
}
