import { parseBypassRecord } from '../api/bypass-record.ts';
import { TLS_MODE_LABEL } from '../api/istio.ts';
import { BYPASS_RECORD } from '../api/keys.ts';
import { decide, startRecord, type Consent, type Decision } from '../core/failover.ts';
import { redirectionOf } from '../core/netfilter/detach.ts';
import { blockedBefore, observe, plannedOf, proxyStatus, wasUpBefore, type Observation, type ProbeResult } from '../core/observation.ts';
import { podKey, type Pod } from '../core/pod.ts';
import { appProbersOf, recognise } from '../core/managed.ts';
import { parseAppProbes } from '../core/app-probes.ts';
import { readPolicy } from '../core/read-policy.ts';
import { policyOf, type FailoverPolicy } from '../api/policy.ts';
import { createHealthConnection, type HealthConnection } from './health-connection.ts';
import { createNetworkHolder } from './network-holder.ts';
import { createProbeResponder, type ProbeResponder } from './probe-responder.ts';
import type { Networks, PodNetwork, PodWriter } from './ports.ts';
import { createStatusWriter } from './status-writer.ts';
import { createSwitch } from './switch.ts';
import { createTransitions } from './transitions.ts';
import type { Logger } from '../runtime/logger.ts';

/** What every pod's loop shares. */
export interface AgentContext {
  readonly networks: Networks;
  readonly writer: PodWriter;
  readonly log: Logger;
  /** Boot ID of this node, as in status.nodeInfo.bootID. */
  readonly bootID: string;
  /** Whether a bypass of pods in the namespace may suspend security, as far as the installation says. */
  readonly installationAllows: (namespace: string) => boolean;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: () => number;
}

/** One managed pod: gathers, decides, acts, over and over, one round at a time. */
export interface PodLoop {
  /** The pod as the API server tells it now; always the same UID. */
  update(pod: Pod): void;
  stop(): Promise<void>;
}

/** After a connection ended, the kernel may take a moment to close the listeners of a dying process; ms after the end. */
const LOOK_AGAIN_MS = [0, 2, 5, 10, 20, 50, 100, 250] as const;

/** Starts the loop of one pod. */
export function startPodLoop(first: Pod, context: AgentContext): PodLoop {
  const log = context.log.with({ pod: podKey(first) });
  const { nowMs } = context;
  let pod = first;
  let probe: ProbeResult = { kind: 'none' };
  let goodProbes = 0;
  let wasUp = wasUpBefore(first);
  let record = parseBypassRecord(first.metadata.annotations?.[BYPASS_RECORD]);
  let blocked = blockedBefore(first);
  let connection: HealthConnection | undefined;
  let connectedTo: string | undefined;
  let stopped = false;
  let running = false;
  let again = false;
  let probeTimer: NodeJS.Timeout | undefined;
  const timers = new Set<NodeJS.Timeout>();

  let policy = policyFor(first);
  let responder: ProbeResponder | undefined;
  let repointed: PodNetwork | undefined;
  const network = createNetworkHolder(context.networks, log, opened);
  const switcher = createSwitch(log);
  const status = createStatusWriter(first, { writer: context.writer, log, nowMs });
  const transitions = createTransitions(first, context.writer, log);

  function consent(): Consent {
    const namespace = pod.metadata.namespace ?? '';
    if (policy.security !== 'allow') return { allowed: false, why: 'it would suspend what protects the pod, and hot-switch.io/security does not say "allow"' };
    if (!context.installationAllows(namespace)) return { allowed: false, why: `the installation does not list the namespace ${namespace} for security: allow` };
    return { allowed: true };
  }

  function after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!stopped) run();
    }, ms);
    timers.add(timer);
  }

  /** Asks for a round; rounds never overlap. */
  function wake(): void {
    if (stopped) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    round()
      .catch((error: unknown) => log.error('a round failed', { error }))
      .finally(() => {
        running = false;
        if (again) {
          again = false;
          wake();
        }
      });
  }

  async function round(): Promise<void> {
    if (probe.kind !== 'ok') await network.check(pod);
    network.open(pod);
    const observation = await look();
    if (observation.proxy === 'healthy') wasUp = true;
    // Not on the way of a death: the plan is made from what was read while all was well.
    if (observation.proxy !== 'dead' || !switcher.known()) await switcher.refresh(network.current(), nowMs());
    await repoint();
    const decision = decideNow(observation);
    if (decision.recheckMs !== undefined) after(Math.min(decision.recheckMs, 60_000), wake);
    await act(decision, observation);
  }

  /** A bypass that an earlier agent made sends probes to that agent's listener: to ours from now on. */
  async function repoint(): Promise<void> {
    const current = network.current();
    if (current === undefined || repointed === current || !switcher.known()) return;
    if (redirectionOf(switcher.ruleset()) === 'detached') await switcher.detach(current);
    repointed = current;
  }

  async function look(): Promise<Observation> {
    // Reading the sockets costs something with many connections: a sidecar that answers needs no further proof of life.
    const listeners = probe.kind === 'ok' ? undefined : await network.current()?.listeners();
    return observe(probe, listeners, wasUp);
  }

  function decideNow(observation: Observation): Decision {
    const redirection = redirectionOf(switcher.ruleset());
    const snapshot = {
      policy,
      planned: plannedOf(pod),
      consent: consent(),
      observation,
      goodProbes,
      kubeletAgrees: proxyStatus(pod)?.ready === true,
      redirection,
      record,
      switchFailure: switcher.failure(),
      blocked,
    };
    return decide(snapshot, nowMs());
  }

  async function act(decision: Decision, observation: Observation): Promise<void> {
    const current = network.current();
    if (decision.act === 'detach' && current !== undefined) {
      const before = record;
      if (record === undefined || record.until !== undefined) record = startRecord(record, { nowMs: nowMs(), bootID: context.bootID, tlsMode: tlsModeNow() });
      // Both at the same time: istiod takes its time to tell meshed callers, and every millisecond to it counts.
      report(decision, observation);
      if (await switcher.detach(current)) return settle(observation);
      record = before;
      return settle(observation);
    }
    if (decision.act === 'restore' && current !== undefined) {
      if (await switcher.restore(current)) endRecord();
      return settle(observation, decision);
    }
    adoptRecord(decision);
    report(decision, observation);
  }

  /** After an act: what is now, decided anew from what the pod's rules say; `done` names the transition. */
  function settle(observation: Observation, done?: Decision): void {
    const decision = decideNow(observation);
    if (decision.recheckMs !== undefined) after(Math.min(decision.recheckMs, 60_000), wake);
    report(done !== undefined && decision.act === 'keep' && decision.traffic === 'meshed' ? { ...done, act: 'keep' } : decision, observation);
  }

  function report(decision: Decision, observation: Observation): void {
    if (decision.traffic !== undefined) blocked = decision.traffic === 'blocked' ? decision : undefined;
    status.want({ decision, observation, record });
    transitions.report(pod, decision, observation);
  }

  /** The rules tell whether a bypass goes on; the record follows them, e.g. after a restart of the agent or of the node. */
  function adoptRecord(decision: Decision): void {
    if (decision.traffic === 'bypassed' && (record === undefined || record.until !== undefined)) {
      record = startRecord(record, { nowMs: nowMs(), bootID: context.bootID, tlsMode: tlsModeNow() });
    }
    if ((decision.traffic === 'meshed' || decision.traffic === 'blocked') && switcher.known()) endRecord();
  }

  function endRecord(): void {
    if (record !== undefined && record.until === undefined) record = { ...record, until: new Date(nowMs()).toISOString() };
  }

  function tlsModeNow(): string | null {
    return pod.metadata.labels?.[TLS_MODE_LABEL] ?? null;
  }

  function connect(): void {
    const podIP = pod.status?.podIP;
    if (podIP === undefined || podIP === '' || podIP === connectedTo) return;
    void connection?.close();
    connectedTo = podIP;
    connection = createHealthConnection(podIP, () => {
      probe = { kind: 'failed', why: 'the connection ended' };
      goodProbes = 0;
      for (const ms of LOOK_AGAIN_MS) after(ms, wake);
    });
    void probeLoop();
  }

  async function probeLoop(): Promise<void> {
    if (stopped || connection === undefined) return;
    clearTimeout(probeTimer);
    const own = connection;
    const result = await own.probe(policy['probe-timeout']);
    if (stopped || own !== connection) return;
    goodProbes = result.kind === 'ok' ? goodProbes + 1 : 0;
    probe = result;
    wake();
    probeTimer = setTimeout(() => void probeLoop(), policy['probe-period']);
  }

  /** A namespace was opened: its rules tell what is, and the agent's listener in it is served. */
  function opened(found: PodNetwork, of: Pod): void {
    switcher.forget();
    const managed = recognise(of);
    const { probers, problems } = parseAppProbes(managed.managed ? appProbersOf(managed.proxy) : undefined);
    if (problems.length > 0) log.warn('probes of the application that cannot be answered during a bypass', { problems });
    responder = createProbeResponder({ server: found.probeServer, podIP: of.status?.podIP ?? '', probers, log });
    wake();
  }

  connect();
  wake();
  return {
    update(seen) {
      pod = seen;
      policy = policyFor(seen);
      status.observe(seen);
      connect();
      wake();
    },
    async stop() {
      stopped = true;
      clearTimeout(probeTimer);
      for (const timer of timers) clearTimeout(timer);
      status.stop();
      await connection?.close();
      await responder?.stop();
      await network.close();
    },
  };
}

/** A pod whose stamp was taken away while it is watched runs on defaults, which refuse. */
function policyFor(pod: Pod): FailoverPolicy {
  return readPolicy(pod.metadata.annotations) ?? policyOf({});
}
