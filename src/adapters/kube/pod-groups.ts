import type { PodFacts } from '../../core/endpoint-facts.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** The bypassed pods by their nodes, and the lately gone ones by their UIDs. */
export interface PodGroups {
  changed(pod: PodName, now: PodFacts | undefined, before: PodFacts | undefined): void;
  /** Pods of the node that bear a trace of a bypass. */
  onNode(node: string): readonly PodName[];
  isGone(uid: string): boolean;
}

/** Longer than the endpoint-slice controller needs to drop a pod's endpoint; after that nothing points to the UID any more. */
const GONE_FOR_MS = 60_000;
const GONE_MAX = 10_000;

export function createPodGroups(steadyMs: () => number): PodGroups {
  const byNode = new Map<string, Map<string, PodName>>();
  /** In the order of going, with the time; UIDs never come back, but a label may. */
  const gone = new Map<string, number>();

  const isExpired = (atMs: number | undefined): boolean => atMs === undefined || steadyMs() - atMs > GONE_FOR_MS;
  const bury = (uid: string): void => {
    gone.set(uid, steadyMs());
    for (const [oldest, atMs] of gone) {
      if (gone.size <= GONE_MAX && !isExpired(atMs)) return;
      gone.delete(oldest);
    }
  };
  const leave = (key: string, facts: PodFacts | undefined): void => {
    const group = byNode.get(facts?.nodeName ?? '');
    if (group?.delete(key) === true && group.size === 0) byNode.delete(facts?.nodeName ?? '');
  };

  return {
    changed(pod, now, before) {
      const key = `${pod.namespace}/${pod.name}`;
      leave(key, before);
      if (before !== undefined && before.uid !== now?.uid && mayBeRaised(before)) bury(before.uid);
      if (now === undefined) return;
      gone.delete(now.uid);
      if (now.nodeName === undefined || !isTouched(now)) return;
      const group = byNode.get(now.nodeName) ?? new Map<string, PodName>();
      byNode.set(now.nodeName, group.set(key, pod));
    },
    onNode: (node) => [...(byNode.get(node)?.values() ?? [])],
    isGone: (uid) => !isExpired(gone.get(uid)),
  };
}

/** A pod that was Ready by itself has an endpoint of Kubernetes' own. */
function mayBeRaised(facts: PodFacts): boolean {
  return isTouched(facts) && !facts.podReady;
}

function isTouched(facts: PodFacts): boolean {
  return facts.bypass !== undefined || facts.traffic === 'bypassed';
}
