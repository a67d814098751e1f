import { writeFileSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { buildPrograms, type Programs } from './build.ts';
import { startControlPlane, type ControlPlane } from './control-plane.ts';
import { prepareHost } from './host.ts';
import { buildImages } from './images.ts';
import { startIstio, type Istio } from './istio.ts';
import { startContainerd, startNode, type Node } from './node.ts';
import { LAB_ENV } from './paths.ts';
import { run, tryRun, type RunResult } from './run.ts';

/** A running cluster; made and used inside the lab's namespaces. */
export interface Cluster {
  readonly id: string;
  readonly folder: string;
  readonly programs: Programs;
  readonly kubeconfig: string;
  readonly controlPlane: ControlPlane;
  readonly node: Node;
  readonly istio: Istio;
  /** Runs the real kubectl as admin and gives its output. */
  readonly kubectl: (...args: string[]) => Promise<string>;
  readonly tryKubectl: (...args: string[]) => Promise<RunResult>;
  /** Applies objects given as plain data. */
  apply(...objects: unknown[]): Promise<void>;
}

/** Brings the whole cluster up; says what it does, and when each part is ready. */
export async function startCluster(options: { readonly istiodEnv?: Readonly<Record<string, string>> } = {}): Promise<Cluster> {
  const folder = process.env[LAB_ENV];
  if (folder === undefined) throw new Error('startCluster runs inside a lab only: use runInNewLab');
  const id = basename(folder);
  const startMs = Date.now();
  const say = (text: string): void => void process.stderr.write(`  ${((Date.now() - startMs) / 1000).toFixed(1).padStart(5)} s  ${text}\n`);

  process.stderr.write('Starting the cluster in a box ...\n');
  const programs = await buildPrograms();
  const images = await buildImages(programs);
  await prepareHost(id);
  const kubectl = (...args: string[]): Promise<string> =>
    run(programs.kubernetes, ['kubectl', '--kubeconfig', join(folder, 'admin.kubeconfig'), ...args], { timeoutMs: 180_000 });
  const containerdStarting = startContainerd(folder, images);
  containerdStarting.catch(() => undefined); // awaited below; a failure of the control plane comes first
  const controlPlane = await startControlPlane(folder, programs, kubectl);
  say('Kubernetes’ control plane answers');
  const { kubeconfig } = controlPlane;
  const istioStarting = startIstio(folder, programs, kubeconfig, kubectl, options.istiodEnv);
  istioStarting.catch(() => undefined);
  const containerd = await containerdStarting;
  say('containerd has the images');
  const node = await startNode({ folder, id, programs, kubeconfig, kubectl }, containerd);
  say('the node is Ready');
  const istio = await istioStarting;
  say('istiod and its injector are ready');
  let applied = 0;
  return {
    id,
    folder,
    programs,
    kubeconfig,
    controlPlane,
    node,
    istio,
    kubectl,
    tryKubectl: (...args) => tryRun(programs.kubernetes, ['kubectl', '--kubeconfig', kubeconfig, ...args], { timeoutMs: 180_000 }),
    apply: async (...objects) => {
      const file = join(folder, `apply-${applied++}.json`);
      writeFileSync(file, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
      await kubectl('apply', '-f', file);
    },
  };
}

/** Stops what would otherwise be cut off in the middle; the namespaces end the rest. */
export async function stopCluster(cluster: Cluster): Promise<void> {
  await cluster.node.kubelet.stop('SIGKILL');
}

/** The end of each log of the lab, for a failure that nobody can look at later. */
export function logTails(cluster: Cluster, names: readonly string[], characters = 1500): string {
  return names.map((name) => `--- ${name}\n${tail(join(cluster.folder, `${name}.log`), characters)}`).join('\n');
}

function tail(file: string, characters: number): string {
  try {
    return readFileSync(file, 'utf8').slice(-characters);
  } catch (error) {
    return String(error);
  }
}
