import { switchRetryMs, type SwitchFailure } from '../core/failover.ts';
import { planDetach, planRestore, redirectionOf, type Plan, type RedirectionState } from '../core/netfilter/detach.ts';
import type { RulesetReading } from '../core/netfilter/ruleset.ts';
import { errorMessage } from '../runtime/error-message.ts';
import type { Logger } from '../runtime/logger.ts';
import type { PodNetwork } from './ports.ts';

/** The redirection in one network namespace: what is known of it, and the two acts. */
export interface Switch {
  redirection(): RedirectionState;
  /** The last act, when it failed. */
  failure(): SwitchFailure | undefined;
  /** Forgets a failure: all is well without the act. */
  settled(): void;
  /** Whether a cleared redirection sends the probes of the application to the agent's port: one that an earlier agent cleared does not. */
  answersProbes(): boolean;
  /** Reads the rules when what is known of them is old, so that a plan is at hand when it is needed. */
  refresh(): Promise<void>;
  /** The sidecar may have died: gets ready to clear the redirection. */
  poise(): void;
  /** Clears the redirection and verifies it; true when it is cleared. The change is under way when this returns its promise. */
  detach(): Promise<boolean>;
  /** Puts it back and verifies it; true when it is back. */
  restore(): Promise<boolean>;
}

export interface SwitchOptions {
  readonly log: Logger;
  /** Wall clock, ms since the epoch. */
  readonly nowMs: () => number;
  /** Rules are read again after this time, in case somebody else changed them; 30 s. */
  readonly refreshMs?: number;
}

/** A switch for one namespace; it knows nothing yet. */
export function createSwitch(network: PodNetwork, { log, nowMs, refreshMs = 30_000 }: SwitchOptions): Switch {
  let reading: RulesetReading = { known: false, why: 'the rules were not read yet' };
  let readAtMs = Number.NEGATIVE_INFINITY;
  /** Made as soon as the rules are read: at a death there is only to apply it. */
  let prepared: Plan = detachPlan(reading);
  let failure: SwitchFailure | undefined;
  let failures = 0;

  async function read(): Promise<void> {
    const now = await network.save();
    if (!now.known && (reading.known || now.why !== reading.why)) log.warn('the rules could not be read', { why: now.why });
    reading = now;
    readAtMs = performance.now();
    prepared = detachPlan(now);
  }

  /** One act: plan from what is known, apply in one transaction, read back. A plan from old knowledge fails whole, and is made again once. */
  async function perform(verb: SwitchFailure['verb'], plan: () => Plan, wanted: RedirectionState): Promise<boolean> {
    const startMs = performance.now();
    let problem: string | undefined;
    for (const attempt of [1, 2]) {
      if (attempt === 2 || !reading.known) await read();
      const planned = plan();
      if ('problem' in planned) problem = planned.problem;
      else problem = 'already' in planned ? undefined : await applyAndVerify(planned.restoreText, wanted);
      if (problem === undefined) break;
    }
    const durationMs = Math.round((performance.now() - startMs) * 10) / 10;
    if (problem === undefined) log.info('redirection switched', { verb, durationMs });
    else log.error('redirection not switched', { verb, problem, durationMs });
    failures = problem === undefined ? 0 : failures + 1;
    failure = problem === undefined ? undefined : { verb, why: problem, retryAtMs: nowMs() + switchRetryMs(failures) };
    return problem === undefined;
  }

  async function applyAndVerify(restoreText: string, wanted: RedirectionState): Promise<string | undefined> {
    try {
      await network.apply(restoreText);
    } catch (error) {
      return `the rules could not be changed: ${errorMessage(error)}`;
    }
    await read();
    const found = redirectionOf(reading);
    return found === wanted ? undefined : `the rules were changed, but read back as ${found}`;
  }

  function detachPlan(ruleset: RulesetReading): Plan {
    return planDetach(ruleset, { probePort: network.probePort });
  }

  return {
    redirection: () => redirectionOf(reading),
    failure: () => failure,
    settled() {
      failure = undefined;
      failures = 0;
    },
    answersProbes: () => 'already' in prepared,
    async refresh() {
      if (!reading.known || performance.now() - readAtMs >= refreshMs) await read();
    },
    poise() {
      if ('restoreText' in prepared && redirectionOf(reading) === 'attached') network.poise();
    },
    detach: () => perform('detach', () => prepared, 'detached'),
    restore: () => perform('restore', () => planRestore(reading), 'attached'),
  };
}
