import type { Pod } from '../../src/core/pod.ts';
import type { StatusChange } from '../../src/core/pod-status.ts';

/** The pod after a patch of its status, as the API server applies it: null removes, conditions are merged by type. */
export function applyStatus(pod: Pod, { labels, annotations, conditions }: StatusChange): Pod {
  const given = conditions ?? [];
  const others = (pod.status?.conditions ?? []).filter((condition) => !given.some(({ type }) => type === condition.type));
  return {
    ...pod,
    metadata: { ...pod.metadata, labels: merged(pod.metadata.labels, labels), annotations: merged(pod.metadata.annotations, annotations) },
    status: { ...pod.status, conditions: [...others, ...given] },
  };
}

function merged(have: Readonly<Record<string, string>> = {}, change: Readonly<Record<string, string | null>> = {}): Record<string, string> {
  const entries = Object.entries({ ...have, ...change });
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== null));
}
