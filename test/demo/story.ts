import { setTimeout as sleep } from 'node:timers/promises';
import { TRAFFIC_LABEL } from '../../src/api/keys.ts';
import { killEnvoyOverAndOver } from '../cluster/processes.ts';
import { isGood, type Span } from '../measure/series.ts';
import { timeline } from '../measure/timeline.ts';
import { CLIENTS, type ArmView, type Observer } from './observe.ts';
import { endpointsLine, isReady, podLine } from './pod-line.ts';
import type { ScreenModel } from './render.ts';
import type { Screen } from './screen.ts';
import { ARMS, RATE, type Arm } from './shops.ts';

/** What happened when; epoch milliseconds. */
export interface Story {
  readonly span: Span;
  /** The first kill. */
  readonly faultMs: number;
  /** The last moment at which sidecars were killed. */
  readonly calmMs: number;
  /** How often the arm's sidecar was killed, by namespace. */
  readonly kills: Readonly<Record<string, number>>;
}

/** The moments at which the story stops to show what kubectl says. */
export type Moment = 'healthy' | 'after the first crash' | 'end of the fault' | 'recovered';

export interface StoryOptions {
  readonly observer: Observer;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Shows what kubectl says now. */
  readonly show: (moment: Moment) => Promise<void>;
}

const TICK_MS = 500;
const FIRST_ANSWERS_WITHIN_MS = 60_000;
const WARM_UP_MS = 8000;
const FAULT_MS = 45_000;
const FIRST_LOOK_MS = 5000;
/** kubelet's back-off doubles from 10 s: after 45 s of crashes the next start can be 40 s away, for the app too. */
const RECOVERY_WITHIN_MS = 90_000;
const AFTERWARDS_MS = 8000;
/** Good for so long, up to a second ago, since a request that hangs is known to have failed only after a second. */
const STEADY_MS = 2000;
const SETTLING_MS = 1200;

/** Plays the story: healthy, a sidecar that crashes over and over, the end of the fault, recovery. Rejects when the signal aborts. */
export async function playStory({ observer, screen, signal, show }: StoryOptions): Promise<Story> {
  let caption = 'Both shops are healthy.';
  let fromMs: number | undefined;

  async function tick(): Promise<void> {
    signal.throwIfAborted();
    await observer.observe();
    if (fromMs !== undefined) screen.update(modelOf(observer, { fromMs, toMs: Date.now() }, caption));
  }
  /** Goes on watching until the time is over or the condition holds; whether it held. */
  async function watch(forMs: number, done: () => boolean = () => false): Promise<boolean> {
    const endMs = Date.now() + forMs;
    for (;;) {
      const startMs = Date.now();
      await tick();
      if (done()) return true;
      const nowMs = Date.now();
      if (nowMs >= endMs) return false;
      await sleep(Math.min(Math.max(0, startMs + TICK_MS - nowMs), endMs - nowMs), undefined, { signal });
    }
  }
  /** The timelines go on while kubectl is asked. */
  async function look(moment: Moment): Promise<void> {
    let shown = false;
    const showing = show(moment).finally(() => (shown = true));
    await Promise.all([showing, watch(10_000, () => shown)]);
  }

  const answering = await watch(FIRST_ANSWERS_WITHIN_MS, () => ARMS.every((arm) => isServed(viewOf(observer, arm), Date.now())));
  if (!answering) throw new Error(`the shops did not answer all clients within ${FIRST_ANSWERS_WITHIN_MS / 1000} s, before anything was done to them`);
  fromMs = Date.now();
  await watch(WARM_UP_MS);
  await look('healthy');

  caption = 'Both sidecars crash over and over.';
  const killers = ARMS.map((arm) => ({ arm, ...killEnvoyOverAndOver(viewOf(observer, arm).pods[0]?.metadata.uid ?? '') }));
  const faultMs = Math.min(...killers.map(({ kills }) => kills[0] ?? Infinity), Date.now());
  try {
    await watch(FIRST_LOOK_MS);
    await look('after the first crash');
    await watch(faultMs + FAULT_MS - Date.now());
    await look('end of the fault');
  } finally {
    for (const killer of killers) killer.stop();
  }
  const calmMs = Date.now();

  caption = 'The kills have ended; kubelet waits to start the sidecars again.';
  const unwell = (): readonly Arm[] => ARMS.filter((arm) => !isWhole(viewOf(observer, arm), arm));
  await watch(RECOVERY_WITHIN_MS, () => unwell().length === 0);
  const late = unwell().map(({ title }) => title);
  caption = late.length === 0 ? 'Both shops are healthy again.' : `Not healthy again after ${RECOVERY_WITHIN_MS / 1000} s: ${late.join(' and ')}.`;
  await look('recovered');
  await watch(AFTERWARDS_MS);
  const toMs = Date.now();
  // What is on its way now is answered, or given up, within the client's second.
  await sleep(SETTLING_MS, undefined, { signal });
  await observer.observe();
  screen.update(modelOf(observer, { fromMs, toMs }, caption));
  return { span: { fromMs, toMs }, faultMs, calmMs, kills: Object.fromEntries(killers.map(({ arm, kills }) => [arm.namespace, kills.length])) };
}

function viewOf(observer: Observer, arm: Arm): ArmView {
  const view = observer.views[arm.namespace];
  if (view === undefined) throw new Error(`nobody observes ${arm.namespace}`);
  return view;
}

function modelOf(observer: Observer, span: Span, caption: string): ScreenModel {
  return {
    elapsedMs: span.toMs - span.fromMs,
    caption,
    arms: ARMS.map((arm) => {
      const { pods, endpoints, results } = viewOf(observer, arm);
      return {
        title: arm.title,
        clients: CLIENTS.map((name) => ({
          name,
          cells: timeline(results[name], span),
          failures: results[name].filter((result) => result.t >= span.fromMs && result.t < span.toMs && !isGood(result)).length,
        })),
        pods: pods.map(podLine),
        endpoints: endpointsLine(endpoints),
      };
    }),
  };
}

/** Whether every client of the arm got good answers, and nothing else, for a while. */
function isServed(view: ArmView, nowMs: number): boolean {
  return CLIENTS.every((name) => {
    const toMs = nowMs - SETTLING_MS;
    const recent = view.results[name].filter((result) => result.t >= toMs - STEADY_MS && result.t < toMs);
    return recent.length > (STEADY_MS / 1000) * RATE * 0.5 && recent.every(isGood);
  });
}

function isWhole(view: ArmView, { failover }: Arm): boolean {
  const pods = view.pods.every((pod) => isReady(pod) && (!failover || pod.metadata.labels?.[TRAFFIC_LABEL] === 'meshed'));
  return view.pods.length > 0 && pods && isServed(view, Date.now());
}
