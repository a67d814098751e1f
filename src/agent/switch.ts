import { planDetach, planRestore, redirectionOf, type Plan } from '../core/netfilter/detach.ts';
import type { RulesetReading } from '../core/netfilter/ruleset.ts';
import type { Logger } from '../runtime/logger.ts';
import type { PodNetwork } from './ports.ts';

/** The redirection of one pod: what is known of it, and the two acts. */
export interface Switch {
  ruleset(): RulesetReading;
  known(): boolean;
  /** Why the last act failed; undefined after a good one. */
  failure(): string | undefined;
  /** Reads the rules when what is known of them is old, so that a plan is at hand when it is needed. */
  refresh(network: PodNetwork | undefined, nowMs: number): Promise<void>;
  /** Forgets what is known: the namespace is another one. */
  forget(): void;
  /** Clears the redirection and verifies it; true when it is cleared. */
  detach(network: PodNetwork): Promise<boolean>;
  /** Puts it back and verifies it; true when it is back. */
  restore(network: PodNetwork): Promise<boolean>;
}

/** Rules are read again after this time, in case somebody else changed them; ms. */
const REFRESH_MS = 30_000;
const UNREAD: RulesetReading = { known: false, why: 'the rules were not read yet' };

/** A switch for one pod. */
export function createSwitch(log: Logger): Switch {
  let reading: RulesetReading = UNREAD;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let problem: string | undefined;

  async function read(network: PodNetwork): Promise<void> {
    reading = await network.save();
  }

  /** One act: plan from what is known, apply in one transaction, read back. A plan from old knowledge fails whole, and is made again once. */
  async function perform(network: PodNetwork, verb: 'detach' | 'restore', plan: (ruleset: RulesetReading) => Plan, wanted: string): Promise<boolean> {
    const startMs = performance.now();
    problem = undefined;
    for (const attempt of [1, 2]) {
      if (attempt === 2 || !reading.known) await read(network);
      const planned = plan(reading);
      if ('problem' in planned) problem = planned.problem;
      else problem = 'already' in planned ? undefined : await applyAndVerify(network, planned.restoreText, wanted);
      if (problem === undefined) break;
    }
    const durationMs = Math.round((performance.now() - startMs) * 10) / 10;
    if (problem === undefined) log.info('redirection switched', { verb, durationMs });
    else log.error('redirection not switched', { verb, problem, durationMs });
    return problem === undefined;
  }

  async function applyAndVerify(network: PodNetwork, restoreText: string, wanted: string): Promise<string | undefined> {
    try {
      await network.apply(restoreText);
    } catch (error) {
      return `the rules could not be changed: ${error instanceof Error ? error.message : String(error)}`;
    }
    await read(network);
    const found = redirectionOf(reading);
    return found === wanted ? undefined : `the rules were changed, but read back as ${found}`;
  }

  return {
    ruleset: () => reading,
    known: () => reading.known,
    failure: () => problem,
    async refresh(network, nowMs) {
      if (network === undefined || (reading.known && nowMs - readAtMs < REFRESH_MS)) return;
      await read(network);
      readAtMs = nowMs;
    },
    forget() {
      reading = UNREAD;
      readAtMs = Number.NEGATIVE_INFINITY;
    },
    detach: (network) => perform(network, 'detach', (ruleset) => planDetach(ruleset, { probePort: network.probePort }), 'detached'),
    restore: (network) => perform(network, 'restore', planRestore, 'attached'),
  };
}
