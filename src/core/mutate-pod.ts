import { BYPASS_RECORD, EFFECTIVE_POLICY, TRAFFIC_LABEL, TRAFFIC_READY } from '../api/keys.ts';
import type { Traffic } from '../api/keys.ts';
import { effectivePolicy, policyText } from './merge-policy.ts';
import { pointer } from './json-patch.ts';
import type { JsonPatchOperation } from './json-patch.ts';
import { recognise } from './managed.ts';
import type { Pod } from './pod.ts';

export interface Mutation {
  /** Empty when the pod is as it should be, or none of ours. */
  readonly patch: readonly JsonPatchOperation[];
  readonly warnings: readonly string[];
}

type Texts = Readonly<Record<string, string>>;
/** What a map of the pod should hold at our keys; undefined: nothing. */
type Wanted = Readonly<Record<string, string | undefined>>;

/**
 * What a new pod gets: the readiness gate, the effective policy, the traffic label. Applied to its own result it changes nothing.
 * Pods without redirection stay untouched. `mode: off` gets nothing, and loses what a copied manifest brought along: nobody would ever
 * write the condition of its gate. A Job's pod gets no gate (no Service waits for it), and the rest. Never touches what is not ours.
 */
export function mutatePod(pod: Pod, namespaceAnnotations: Texts): Mutation {
  if (!recognise(pod).managed) return { patch: [], warnings: [] };
  const own = pod.metadata.annotations ?? {};
  const policy = effectivePolicy(own, namespaceAnnotations);
  const on = policy.raw.mode !== 'off';
  // The agent's record cannot be true for a pod that does not run yet.
  const annotations = merge('annotations', pod.metadata.annotations, {
    [EFFECTIVE_POLICY]: on ? policyText(policy.raw) : undefined,
    [BYPASS_RECORD]: undefined,
  });
  const labels = merge('labels', pod.metadata.labels, { [TRAFFIC_LABEL]: on ? ('meshed' satisfies Traffic) : undefined });
  return {
    patch: [...gatePatch(pod, on && !isOfJob(pod)), ...annotations.patch, ...labels.patch],
    warnings: [...policy.warnings, ...annotations.warnings, ...labels.warnings],
  };
}

function isOfJob(pod: Pod): boolean {
  return (pod.metadata.ownerReferences ?? []).some((owner) => owner.kind === 'Job' && owner.controller === true);
}

/** The gates are a set without keys: one element is added at the end, or ours are taken out; the others keep their order. */
function gatePatch(pod: Pod, wanted: boolean): JsonPatchOperation[] {
  const gates = pod.spec.readinessGates;
  const ours = (gates ?? []).flatMap((gate, index) => (gate.conditionType === TRAFFIC_READY ? [index] : []));
  if (!wanted) return ours.toReversed().map((index) => ({ op: 'remove', path: pointer('spec', 'readinessGates', index) }));
  if (ours.length > 0) return [];
  const gate = { conditionType: TRAFFIC_READY };
  if (gates === undefined) return [{ op: 'add', path: pointer('spec', 'readinessGates'), value: [gate] }];
  return [{ op: 'add', path: pointer('spec', 'readinessGates', '-'), value: gate }];
}

function merge(field: 'annotations' | 'labels', have: Texts | undefined, wanted: Wanted): { patch: JsonPatchOperation[]; warnings: string[] } {
  const patch: JsonPatchOperation[] = [];
  const warnings: string[] = [];
  const added: Record<string, string> = {};
  for (const [key, value] of Object.entries(wanted)) {
    const before = have?.[key];
    if (before === value) continue;
    const path = pointer('metadata', field, key);
    if (value === undefined) patch.push({ op: 'remove', path });
    else {
      patch.push({ op: 'add', path, value });
      added[key] = value;
    }
    if (before !== undefined)
      warnings.push(`metadata.${field}[${key}] is written by hot-switch only; the given value was ${value === undefined ? 'removed' : 'replaced'}`);
  }
  // `add` below a parent that is not there would fail, and with it the pod.
  if (have === undefined && patch.length > 0) return { patch: [{ op: 'add', path: pointer('metadata', field), value: added }], warnings };
  return { patch, warnings };
}
