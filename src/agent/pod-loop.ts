import { policyOf, type FailoverPolicy } from '../api/policy.ts';
import { PROXY_HEALTHY } from '../api/keys.ts';
import { endRecord, lasts, recordOf, startRecord, tlsModeOf } from '../core/bypass-history.ts';
import { decide, type Consent, type Decision } from '../core/failover.ts';
import { appRuns, blockedBefore, conditionOf, observe, plannedOf, proxyStatus, wasUpBefore, type Observation } from '../core/observation.ts';
import { podKey, type Pod } from '../core/pod.ts';
import { readPolicy } from '../core/read-policy.ts';
import type { Logger } from '../runtime/logger.ts';
import { createNetworkHolder } from './network-holder.ts';
import { enterPod, type PodInside } from './pod-inside.ts';
import type { Networks, PodNetwork, PodWriter } from './ports.ts';
import { createProbeSchedule, type ProbeSchedule } from './probe-schedule.ts';
import { createStatusWriter } from './status-writer.ts';
import type { Switch } from './switch.ts';
import { createTransitions } from './transitions.ts';

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
  /** Ends after the round that is under way: a switch is never left half done. */
  stop(): Promise<void>;
}

/** A switch that takes longer is told of; ms. */
const SLOW_SWITCH_MS = 1000;
/** What cannot be observed for a shorter time is no news, e.g. while an agent that was started again finds its pods; ms. */
const UNKNOWN_FOR_MS = 5000;
const SWITCHING: Decision = { act: 'keep', traffic: 'blocked', reason: 'Switching', message: 'the redirection is not cleared yet' };

/** Starts the loop of one pod. */
export function startPodLoop(first: Pod, context: AgentContext): PodLoop {
  const log = context.log.with({ pod: podKey(first) });
  const { nowMs, bootID } = context;
  let pod = first;
  let policy = policyFor(first);
  let probes: ProbeSchedule | undefined;
  let inside: PodInside | undefined;
  let sandbox: string | undefined;
  let wasUp = wasUpBefore(first);
  let last: Observation | undefined;
  let unknownSinceMs: number | undefined;
  let record = recordOf(first, bootID, nowMs());
  let blocked = blockedBefore(first);
  let running: Promise<void> | undefined;
  let again = false;
  let recheckTimer: NodeJS.Timeout | undefined;
  let stopped = false;
  const network = createNetworkHolder(context.networks, { log, onOpen: enter });
  const status = createStatusWriter(first, { writer: context.writer, log, nowMs });
  const transitions = createTransitions(first, context.writer, log);

  /** Asks for a round; rounds never overlap. */
  function wake(): void {
    if (stopped) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    again = false;
    running = round()
      .catch((error: unknown) => log.error('a round failed', { error }))
      .finally(() => {
        running = undefined;
        if (again) wake();
      });
  }

  /** Between the end of the held connection and the switch it waits for one thing only: the proof. */
  async function round(): Promise<void> {
    network.open(pod);
    const observation = await look();
    if (observation.proxy === 'unknown') await network.check(pod);
    // The plan for a death is made from what was read while all was well.
    const urgent = observation.proxy === 'dead' && inside?.switcher.redirection() === 'attached';
    if (!urgent) await inside?.switcher.refresh();
    if (!stopped) await act(decideNow(observation), observation);
  }

  async function look(): Promise<Observation> {
    // Reading the sockets costs something with many connections: a sidecar that answers needs no further proof of life.
    const listeners = probes?.result().kind === 'ok' ? undefined : await inside?.network.listeners();
    last = observe(probes?.result() ?? { kind: 'none' }, listeners, wasUp, last);
    if (last.proxy === 'healthy') wasUp = true;
    unknownSinceMs = last.proxy === 'unknown' ? (unknownSinceMs ?? performance.now()) : undefined;
    return last;
  }

  function decideNow(observation: Observation): Decision {
    const snapshot = {
      policy,
      planned: plannedOf(pod),
      consent: consent(),
      observation,
      goodProbes: probes?.goodProbes() ?? 0,
      kubeletAgrees: proxyStatus(pod)?.ready === true,
      appRuns: appRuns(pod),
      redirection: inside?.switcher.redirection() ?? 'unknown',
      record,
      switchFailure: inside?.switcher.failure(),
      blocked,
    };
    return decide(snapshot, nowMs());
  }

  function consent(): Consent {
    const namespace = pod.metadata.namespace ?? '';
    if (policy.security !== 'allow') return { allowed: false, why: 'it would suspend what protects the pod, and hot-switch.io/security does not say "allow"' };
    if (!context.installationAllows(namespace)) return { allowed: false, why: `the installation does not list the namespace ${namespace} for security: allow` };
    return { allowed: true };
  }

  async function act(decision: Decision, observation: Observation): Promise<void> {
    const switcher = inside?.switcher;
    if (switcher !== undefined && decision.act === 'detach') return bypass(switcher, decision, observation);
    if (switcher !== undefined && decision.act === 'restore') {
      const restored = await switcher.restore();
      return settle(observation, restored ? decision : undefined);
    }
    if (decision.traffic === 'meshed') switcher?.settled();
    if (decision.traffic === 'bypassed') await repoint(switcher);
    report(decision, observation);
  }

  async function bypass(switcher: Switch, decision: Decision, observation: Observation): Promise<void> {
    const before = record;
    const cleared = switcher.detach();
    let slow: NodeJS.Timeout | undefined;
    // At the same time: istiod takes its time to tell meshed callers, and every millisecond to it counts. Not again for a switch that failed.
    if (decision.traffic === 'bypassed') {
      begin();
      status.want({ decision, observation, record });
      slow = setTimeout(() => report(SWITCHING, observation), SLOW_SWITCH_MS);
    }
    const started = record;
    const done = await cleared;
    clearTimeout(slow);
    record = done ? started : before;
    settle(observation);
  }

  /** A bypass that an earlier agent made sends the probes of the application to that agent's port: to ours from now on. */
  async function repoint(switcher: Switch | undefined): Promise<void> {
    const mayTry = nowMs() >= (switcher?.failure()?.retryAtMs ?? 0);
    if (switcher?.redirection() === 'detached' && !switcher.answersProbes() && mayTry) await switcher.detach();
  }

  /** After an act: what is now, decided anew from what the pod's rules say; `done` names the transition. */
  function settle(observation: Observation, done?: Decision): void {
    const decision = decideNow(observation);
    const transition = done?.reason === 'RestoreFailed' ? ({ ...decision, reason: 'ProxyRestored' } as const) : done;
    report(decision, observation, decision.traffic === 'meshed' ? transition : undefined);
  }

  function report(decision: Decision, observation: Observation, transition: Decision = decision): void {
    recheckIn(decision.recheckMs);
    if (decision.traffic === undefined) {
      const unknownForMs = performance.now() - (unknownSinceMs ?? Number.NEGATIVE_INFINITY);
      if (unknownForMs < UNKNOWN_FOR_MS && conditionOf(pod, PROXY_HEALTHY) !== undefined) return recheckIn(UNKNOWN_FOR_MS - unknownForMs);
    } else {
      blocked = decision.traffic === 'blocked' ? decision : undefined;
      if (decision.traffic === 'bypassed') begin();
      else record = endRecord(record, nowMs());
    }
    status.want({ decision, observation, record });
    transitions.report(pod, transition, observation);
  }

  /** What the rules say is what goes on, e.g. after a restart of the agent: the record follows. */
  function begin(): void {
    if (!lasts(record)) record = startRecord(record, { nowMs: nowMs(), bootID, tlsMode: tlsModeOf(pod) });
  }

  function recheckIn(ms: number | undefined): void {
    clearTimeout(recheckTimer);
    recheckTimer = ms === undefined || stopped ? undefined : setTimeout(wake, ms);
  }

  function connect(): void {
    const podIP = pod.status?.podIP;
    if (podIP === undefined || podIP === '' || podIP === probes?.podIP) return;
    void probes?.stop();
    const pace = () => ({ periodMs: policy['probe-period'], timeoutMs: policy['probe-timeout'] });
    const onEnd = (): void => {
      if (policy.mode === 'enforce' && consent().allowed && plannedOf(pod) === undefined) inside?.switcher.poise();
    };
    probes = createProbeSchedule(podIP, { pace, onNews: wake, onEnd });
  }

  function enter(found: PodNetwork, of: Pod): () => Promise<void> {
    // In another sandbox the sidecar was not up yet.
    if (sandbox !== undefined && sandbox !== found.sandbox) wasUp = false;
    sandbox = found.sandbox;
    const entered = enterPod(found, of, { log, nowMs });
    inside = entered;
    wake();
    return () => {
      inside = undefined;
      return entered.leave();
    };
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
      clearTimeout(recheckTimer);
      status.stop();
      await probes?.stop();
      await running;
      await network.close();
    },
  };
}

/** A pod whose stamp was taken away while it is watched runs on defaults, which refuse. */
function policyFor(pod: Pod): FailoverPolicy {
  return readPolicy(pod.metadata.annotations) ?? policyOf({});
}
