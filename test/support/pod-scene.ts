import { startPodLoop, type AgentContext, type PodLoop } from '../../src/agent/pod-loop.ts';
import type { PolicyKey } from '../../src/api/policy.ts';
import type { Pod } from '../../src/core/pod.ts';
import { captureLog } from './captured-log.ts';
import { eventually } from './eventually.ts';
import { FakeNetworks, makePodNetwork, type FakePodNetwork } from './fake-pod-network.ts';
import { FakePodWriter } from './fake-pod-writer.ts';
import { conditionIn, makeRunningPod, type RunningPodChange } from './running-pod.ts';
import { SidecarServer } from './sidecar-server.ts';

export const TLS_MODE = 'security.istio.io/tlsMode';
const SIDECAR_PORTS = [8080, 15001, 15006, 15021];
const APP_PORTS = [8080];
/** Probes every 100 ms, two good ones end a bypass, which lasts no time. */
const QUICK: Readonly<Partial<Record<PolicyKey, string>>> = { 'probe-period': '100ms', 'success-threshold': '2', 'min-bypass-duration': '0s' };

export interface SceneOptions extends RunningPodChange {
  /** Rules that an earlier agent left. */
  readonly text?: string;
  readonly probePort?: number;
  readonly allowed?: readonly string[];
  readonly prepare?: (scene: Pick<Scene, 'server' | 'networks' | 'network'>) => void;
  /** The sidecar does not run when the agent starts. */
  readonly dead?: boolean;
}

/** One pod under an agent's loop: a real health port, real rule texts, and an API server that holds the pod. */
export interface Scene {
  readonly sidecar: SidecarServer;
  readonly network: FakePodNetwork;
  readonly networks: FakeNetworks;
  readonly server: FakePodWriter;
  readonly context: AgentContext;
  readonly lines: readonly Record<string, unknown>[];
  loop: PodLoop;
  /** SIGKILL: listeners and connections at once. */
  die(): Promise<void>;
  live(): Promise<void>;
  /** As after `kill -9` of the agent: another loop that knows what the pod and the rules say. */
  restartAgent(): Promise<void>;
  /** Changes the pod as somebody else would. */
  change(change: RunningPodChange): void;
  /** Ready, bypassed, health, traffic, tlsMode: what kubectl shows. */
  summary(): string;
  until(want: string): Promise<void>;
  stop(): Promise<void>;
}

/** What a meshed pod, a bypassed one, and one that may not be bypassed look like. */
export const MESHED = 'True Meshed | False Meshed | True ProxyHealthy | meshed | istio';
export const BYPASSED = 'True ProxyBypassed | True ProxyBypassed | False ProxyDead | bypassed | disabled';
export const REFUSED = 'False BypassRefused | False BypassRefused | False ProxyDead | blocked | istio';

export async function makeScene({ text, probePort, allowed = ['demo'], prepare, dead = false, ...change }: SceneOptions = {}): Promise<Scene> {
  const sidecar = new SidecarServer();
  const network = await makePodNetwork(probePort);
  if (text !== undefined) network.text = text;
  const networks = new FakeNetworks(network);
  const server = new FakePodWriter(podOf(sidecar, change));
  const { log, lines } = captureLog();
  const context: AgentContext = {
    networks,
    writer: server,
    log,
    bootID: 'boot-1',
    installationAllows: (namespace) => allowed.includes(namespace),
    nowMs: Date.now,
  };
  if (dead) network.ports = APP_PORTS;
  else await sidecar.start();
  prepare?.({ server, networks, network });
  const scene: Scene = {
    sidecar,
    network,
    networks,
    server,
    context,
    lines,
    loop: startPodLoop(server.pod, context),
    async die() {
      network.ports = APP_PORTS;
      await sidecar.kill();
    },
    async live() {
      network.ports = SIDECAR_PORTS;
      await sidecar.start();
    },
    async restartAgent() {
      server.onChange = () => undefined;
      await scene.loop.stop();
      const next = await makePodNetwork();
      next.text = network.text;
      next.ports = network.ports;
      networks.list.splice(0, networks.list.length, next);
      Object.assign(scene, { network: next });
      follow();
      scene.loop = startPodLoop(server.pod, context);
    },
    change(wanted) {
      const next = podOf(sidecar, wanted);
      server.set({ ...next, metadata: { ...next.metadata, ...merged(server.pod, next) }, status: { ...next.status, ...conditionsOf(server.pod) } });
    },
    summary: () => summaryOf(server.pod),
    async until(want) {
      try {
        await eventually('the pod as wanted', () => summaryOf(server.pod) === want, 5000);
      } catch (error) {
        throw new Error(`wanted: ${want}; is: ${summaryOf(server.pod)}`, { cause: error });
      }
    },
    async stop() {
      await scene.loop.stop();
      await scene.network.close();
      await sidecar.kill();
    },
  };
  function follow(): void {
    server.onChange = (pod) => scene.loop.update(pod);
  }
  follow();
  return scene;
}

function podOf(sidecar: SidecarServer, { metadata, status, policy }: RunningPodChange): Pod {
  return makeRunningPod({ ...(metadata && { metadata }), status: { podIP: sidecar.address, ...status }, policy: { ...QUICK, ...policy } });
}

/** Our label, annotation and conditions stay, whatever somebody else writes. */
function merged(now: Pod, next: Pod): Pick<Pod['metadata'], 'labels' | 'annotations'> {
  return { labels: { ...next.metadata.labels, ...now.metadata.labels }, annotations: { ...now.metadata.annotations, ...next.metadata.annotations } };
}

function conditionsOf(now: Pod): Pick<NonNullable<Pod['status']>, 'conditions'> {
  return now.status?.conditions === undefined ? {} : { conditions: now.status.conditions };
}

function summaryOf(pod: Pod): string {
  const said = (type: string): string => {
    const found = conditionIn(pod, type);
    return found === undefined ? '-' : `${found.status} ${found.reason}`;
  };
  const { labels = {} } = pod.metadata;
  return [said('TrafficReady'), said('Bypassed'), said('ProxyHealthy'), labels['hot-switch.io/traffic'] ?? '-', labels[TLS_MODE] ?? '-'].join(' | ');
}
