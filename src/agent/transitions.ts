import { TRAFFIC_READY } from '../api/keys.ts';
import { REASONS, type Reason } from '../api/reasons.ts';
import type { Decision } from '../core/failover.ts';
import { conditionOf, type Observation } from '../core/observation.ts';
import type { Pod } from '../core/pod.ts';
import type { Logger } from '../runtime/logger.ts';
import type { PodWriter } from './ports.ts';

/** Tells people of each transition: one Event and one log line with the same reason. */
export interface Transitions {
  report(pod: Pod, decision: Decision, observation: Observation): void;
}

const NORMAL: readonly Reason[] = ['Meshed', 'ProxyRestored'];

/** Starts from what the pod's condition says, so that a restarted agent does not tell old news. */
export function createTransitions(first: Pod, writer: PodWriter, log: Logger): Transitions {
  const written = conditionOf(first, TRAFFIC_READY)?.reason;
  let last: Reason | undefined = written !== undefined && Object.hasOwn(REASONS, written) ? (written as Reason) : undefined;
  return {
    report(pod, decision, observation) {
      const { reason } = decision;
      // Too little known is no transition; nor is the quiet state after a restore, or at the beginning.
      if (decision.traffic === undefined || reason === last) return;
      const quiet = reason === 'Meshed' && (last === undefined || last === 'ProxyRestored');
      last = reason;
      if (quiet) return;
      log.info('transition', { reason, traffic: decision.traffic, evidence: observation.evidence });
      writer.record(pod, NORMAL.includes(reason) ? 'Normal' : 'Warning', reason, decision.message);
    },
  };
}
