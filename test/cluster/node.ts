import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './build.ts';
import { NODE_NAME } from './control-plane.ts';
import { NODE_IP, POD_CIDR, startDaemon, until, type Daemon } from './host.ts';
import { PAUSE_IMAGE } from './images.ts';
import { CNI_FOLDERS } from './requirements.ts';
import { run, tryRun } from './run.ts';

export interface Node {
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly kubeProxy: Daemon;
}

/** Starts containerd with the lab's images; needs no control plane, so that it can start beside it. */
export async function startContainerd(folder: string, images: readonly string[]): Promise<Daemon> {
  const cni = join(folder, 'cni');
  mkdirSync(cni, { recursive: true });
  writeFileSync(
    join(cni, '10-bridge.conflist'),
    JSON.stringify({
      cniVersion: '0.4.0',
      name: 'lab',
      plugins: [
        {
          type: 'bridge',
          bridge: 'cni0',
          isGateway: true,
          ipMasq: false,
          hairpinMode: true,
          ipam: { type: 'host-local', ranges: [[{ subnet: POD_CIDR }]], routes: [{ dst: '0.0.0.0/0' }] },
        },
        { type: 'portmap', capabilities: { portMappings: true } },
      ],
    }),
  );
  const root = join(folder, 'containerd');
  mkdirSync(root, { recursive: true });
  const config = join(folder, 'containerd.toml');
  writeFileSync(config, containerdConfig(root, cni, await snapshotter(root)));
  const daemon = startDaemon(folder, 'containerd', 'containerd', ['--config', config]);
  const ctr = (...args: string[]): Promise<string> => run('ctr', ['-a', socketOf(root), '-n', 'k8s.io', ...args], { timeoutMs: 120_000 });
  await until(
    'containerd',
    30_000,
    async () => ((await tryRun('ctr', ['-a', socketOf(root), 'version'], { timeoutMs: 5000 })).code === 0 ? true : undefined),
    daemon,
  );
  for (const image of images) await ctr('images', 'import', '--snapshotter', await snapshotter(root), image);
  return daemon;
}

/** Joins the node to the control plane: kubelet and kube-proxy, each the real program. */
export async function startNode(
  lab: {
    readonly folder: string;
    readonly id: string;
    readonly programs: Programs;
    readonly kubeconfig: string;
    readonly kubectl: (...args: string[]) => Promise<string>;
  },
  containerd: Daemon,
): Promise<Node> {
  const { folder, id, programs, kubeconfig, kubectl } = lab;
  const config = join(folder, 'kubelet.json');
  writeFileSync(config, JSON.stringify(kubeletConfig(folder, id)));
  const kubelet = startDaemon(folder, 'kubelet', programs.kubernetes, [
    'kubelet',
    '--kubeconfig',
    kubeconfig,
    '--config',
    config,
    '--root-dir',
    join(folder, 'kubelet'),
    '--cert-dir',
    join(folder, 'kubelet-pki'),
    '--hostname-override',
    NODE_NAME,
    '--node-ip',
    NODE_IP,
  ]);
  const kubeProxy = startDaemon(folder, 'kube-proxy', programs.kubernetes, [
    'kube-proxy',
    '--kubeconfig',
    kubeconfig,
    '--proxy-mode=iptables',
    '--hostname-override',
    NODE_NAME,
    `--cluster-cidr=${POD_CIDR}`,
    '--iptables-sync-period=30s',
    '--iptables-min-sync-period=0s',
    '--conntrack-max-per-core=0',
    '--conntrack-min=0',
    '--conntrack-tcp-timeout-established=0',
    '--conntrack-tcp-timeout-close-wait=0', // read-only in a network namespace that is not the first
    '--metrics-bind-address=127.0.0.1:10249',
    '--healthz-bind-address=127.0.0.1:10256',
  ]);
  await until(
    'node Ready',
    90_000,
    async () => ((await kubectl('get', 'node', NODE_NAME, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')) === 'True' ? true : undefined),
    kubelet,
  );
  return { containerd, kubelet, kubeProxy };
}

function socketOf(root: string): string {
  return join(root, 'containerd.sock');
}

/** overlayfs where the file system below allows it; else copies ("native"), which are slower. */
async function snapshotter(root: string): Promise<string> {
  const probe = join(root, 'probe');
  for (const part of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(probe, part), { recursive: true });
  const options = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`;
  const mounted = (await tryRun('mount', ['-t', 'overlay', 'probe', '-o', options, join(probe, 'merged')])).code === 0;
  if (mounted) await run('umount', [join(probe, 'merged')]);
  rmSync(probe, { recursive: true, force: true });
  return mounted ? 'overlayfs' : 'native';
}

function containerdConfig(root: string, cni: string, snapshots: string): string {
  const bin = CNI_FOLDERS.find((folder) => existsSync(join(folder, 'bridge'))) ?? CNI_FOLDERS[0];
  return `version = 2
root = "${root}/root"
state = "${root}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "${socketOf(root)}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "${snapshots}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${bin}"
conf_dir = "${cni}"
`;
}

function kubeletConfig(folder: string, id: string): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: `unix://${socketOf(join(folder, 'containerd'))}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${id}`,
    failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    enforceNodeAllocatable: [],
    evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
    authorization: { mode: 'Webhook' },
    podLogsDir: join(folder, 'pod-logs'),
    volumePluginDir: join(folder, 'volume-plugins'),
    resolvConf: '',
    maxPods: 110,
    serializeImagePulls: false,
    // A lab is short-lived: status must not wait.
    nodeStatusUpdateFrequency: '5s',
    shutdownGracePeriod: '0s',
  };
}
