import { parseBypassRecord } from '../api/bypass-record.ts';
import { BYPASS_RECORD } from '../api/keys.ts';
import { lasts } from '../core/bypass-history.ts';
import { recognise } from '../core/managed.ts';
import { hasEnded } from '../core/observation.ts';
import type { Pod } from '../core/pod.ts';
import { readPolicy } from '../core/read-policy.ts';
import { startPodLoop, type AgentContext, type PodLoop } from './pod-loop.ts';

/** The loops of one node's managed pods, one for each UID. */
export interface Agent {
  /** Level-triggered: the pod under this key (namespace/name) as it is now, or undefined when there is none. */
  observe(key: string, pod: Pod | undefined): void;
  readonly size: number;
  stop(): Promise<void>;
}

/**
 * Whether the agent looks after the pod: it runs or will, has a sidecar with redirection, and the webhook or controller stamped a policy.
 * A pod that lost its stamp during a bypass is ours until the bypass has ended.
 */
export function isOurs(pod: Pod): boolean {
  const { annotations } = pod.metadata;
  const stamped = readPolicy(annotations) !== undefined || lasts(parseBypassRecord(annotations?.[BYPASS_RECORD]));
  return stamped && !hasEnded(pod) && recognise(pod).managed;
}

/** An agent without pods. */
export function createAgent(context: AgentContext): Agent {
  const loops = new Map<string, { readonly uid: string; readonly loop: PodLoop }>();
  const stopping = new Set<Promise<void>>();

  function end(key: string): void {
    const entry = loops.get(key);
    if (entry === undefined) return;
    loops.delete(key);
    const ended = entry.loop.stop().catch((error: unknown) => context.log.error('a pod’s loop did not end cleanly', { pod: key, error }));
    stopping.add(ended);
    void ended.finally(() => stopping.delete(ended));
  }

  return {
    observe(key, pod) {
      const uid = pod?.metadata.uid;
      const entry = loops.get(key);
      // Names are used again: another UID is another pod.
      if (pod === undefined || uid === undefined || (entry !== undefined && entry.uid !== uid)) end(key);
      if (pod === undefined || uid === undefined) return;
      const own = loops.get(key);
      if (own !== undefined) own.loop.update(pod);
      else loops.set(key, { uid, loop: startPodLoop(pod, context) });
    },
    get size() {
      return loops.size;
    },
    async stop() {
      for (const key of loops.keys()) end(key);
      await Promise.all(stopping);
    },
  };
}
