import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cached, type Programs } from './build.ts';
import { ROOT } from './paths.ts';
import { findProgram } from './requirements.ts';
import { run, tryRun } from './run.ts';

/** Images are made here, without a registry; their names end in `.test`, which never resolves. */
export const HUB = 'hot-switch.test';
export const TAG = 'lab';
export const PAUSE_IMAGE = `${HUB}/pause:${TAG}`;
export const SHOP_IMAGE = `${HUB}/shop:${TAG}`;

interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly user?: string;
}

/** Makes the images that are not in the cache yet: paths of docker-archive files, ready for `ctr images import`. */
export async function buildImages(programs: Programs): Promise<readonly string[]> {
  const busybox = required('busybox');
  const apps = join(ROOT, 'test/apps');
  const appFiles = existsSync(apps)
    ? readdirSync(apps)
        .filter((file) => file.endsWith('.ts'))
        .sort()
    : [];
  const pause = await image('pause', [identity(busybox)], { entrypoint: ['/bin/busybox', 'sleep', '2147483647'] }, async (rootfs) =>
    addFile(rootfs, busybox, '/bin/busybox'),
  );
  const proxy = await image(
    'proxyv2',
    [programs.istio, programs.envoy, identity(required('iptables-nft'))],
    { entrypoint: ['/usr/local/bin/pilot-agent'], user: '1337:1337' },
    (rootfs) => fillProxy(rootfs, programs),
  );
  const shop = await image(
    'shop',
    [`node ${process.version} ${process.arch}`, ...appFiles.map((file) => readFileSync(join(apps, file), 'utf8'))],
    { entrypoint: ['/usr/local/bin/node'] },
    async (rootfs) => {
      await addProgram(rootfs, process.execPath, '/usr/local/bin/node');
      for (const file of appFiles) addFile(rootfs, join(apps, file), `/app/${file}`);
      addAccounts(rootfs);
    },
  );
  return [pause, proxy, shop];
}

async function fillProxy(rootfs: string, programs: Programs): Promise<void> {
  addFile(rootfs, programs.istio, '/usr/local/bin/pilot-agent');
  await addProgram(rootfs, programs.envoy, '/usr/local/bin/envoy');
  addFile(rootfs, programs.bootstrap, '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json');
  for (const multi of ['xtables-nft-multi', 'xtables-legacy-multi']) await addProgram(rootfs, required(multi), `/usr/sbin/${multi}`);
  for (const [backend, multi] of [
    ['', 'xtables-nft-multi'],
    ['-nft', 'xtables-nft-multi'],
    ['-legacy', 'xtables-legacy-multi'],
  ] as const) {
    for (const family of ['iptables', 'ip6tables']) {
      for (const verb of ['', '-save', '-restore']) symlinkSync(multi, join(rootfs, `/usr/sbin/${family}${backend}${verb}`));
    }
  }
  const modules = (await run('sh', ['-c', 'ls -d /usr/lib/*/xtables /usr/lib/xtables 2>/dev/null | head -1'])).trim();
  cpSync(modules, join(rootfs, modules), { recursive: true });
  for (const folder of ['/etc/istio/proxy', '/etc/istio/config', '/var/run/secrets', '/var/lib/istio/data', '/tmp', '/run'])
    mkdirSync(join(rootfs, folder), { recursive: true });
  for (const folder of ['/etc/istio/proxy', '/var/lib/istio/data', '/tmp', '/run']) chmodSync(join(rootfs, folder), 0o777);
  addAccounts(rootfs);
}

function addAccounts(rootfs: string): void {
  mkdirSync(join(rootfs, 'etc'), { recursive: true });
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/:/bin/false\nistio-proxy:x:1337:1337::/:/bin/false\n');
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\nistio-proxy:x:1337:\n');
  writeFileSync(join(rootfs, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}

function required(program: string): string {
  const path = findProgram(program);
  if (path === undefined) throw new Error(`${program} is not on this machine`);
  return realpathSync(path);
}

/** A program is taken to be the same as long as path, size and time of change are. */
function identity(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${path} ${size} ${mtimeMs}`;
}

function addFile(rootfs: string, from: string, to: string): void {
  const target = join(rootfs, to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(from, target);
  chmodSync(target, statSync(from).mode & 0o777);
}

/** Copies a program with all shared libraries that ldd names, and the resolver's modules of glibc, which it loads by name. */
async function addProgram(rootfs: string, from: string, to: string): Promise<void> {
  addFile(rootfs, from, to);
  const libraries = (await tryRun('ldd', [from])).stdout.matchAll(/(\/\S+) \(0x/g);
  for (const [, library] of libraries) {
    if (library === undefined || existsSync(join(rootfs, library))) continue;
    addFile(rootfs, realpathSync(library), library);
    const resolver = join(dirname(realpathSync(library)), 'libnss_files.so.2');
    if (basename(library) === 'libc.so.6' && existsSync(resolver)) addFile(rootfs, realpathSync(resolver), join(dirname(library), 'libnss_files.so.2'));
  }
}

async function image(name: string, ingredients: readonly string[], config: ImageConfig, fill: (rootfs: string) => Promise<void>): Promise<string> {
  const folder = await cached(`image-${name}`, [...ingredients, JSON.stringify(config), fill.toString()], 10, async (making) => {
    const rootfs = join(making, 'rootfs');
    mkdirSync(rootfs);
    await fill(rootfs);
    await pack(making, name, config);
    rmSync(rootfs, { recursive: true });
  });
  return join(folder, 'image.tar');
}

/** Writes the docker-archive form: layer, config.json and manifest.json in one tar. */
async function pack(folder: string, name: string, config: ImageConfig): Promise<void> {
  await run(
    'tar',
    ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '-C', join(folder, 'rootfs'), '-cf', join(folder, 'layer.tar'), '.'],
    { timeoutMs: 300_000 },
  );
  const digest = (await run('sha256sum', [join(folder, 'layer.tar')])).split(' ')[0] ?? '';
  const image = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Entrypoint: config.entrypoint, User: config.user ?? '', Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    history: [{ created_by: 'hot-switch test/cluster' }],
  };
  const configText = JSON.stringify(image);
  const configName = `${createHash('sha256').update(configText).digest('hex')}.json`;
  writeFileSync(join(folder, configName), configText);
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify([{ Config: configName, RepoTags: [`${HUB}/${name}:${TAG}`], Layers: ['layer.tar'] }]));
  await run('tar', ['-C', folder, '-cf', join(folder, 'image.tar'), 'manifest.json', configName, 'layer.tar'], { timeoutMs: 300_000 });
  rmSync(join(folder, 'layer.tar'));
}
