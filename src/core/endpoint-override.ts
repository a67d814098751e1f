import { nodeOf } from './endpoint-facts.ts';
import type { EndpointFacts, PodFacts } from './endpoint-facts.ts';
import { podOf, readsReady } from './endpoint-slice.ts';
import type { Endpoint, EndpointHints, EndpointSlice, PodReference } from './endpoint-slice.ts';
import { verdictOf } from './endpoint-verdict.ts';
import type { JsonPatchOperation } from './json-patch.ts';

/** One endpoint that must change, by its index in the slice. */
export interface EndpointChange {
  readonly index: number;
  readonly action: 'raise' | 'lower';
  readonly reason: string;
  readonly pod: PodReference;
}

/** The endpoints of a slice that must change. */
export function planSlice(slice: EndpointSlice, facts: EndpointFacts, nowMs: number): readonly EndpointChange[] {
  return (slice.endpoints ?? []).flatMap((endpoint, index) => {
    const { action, reason } = verdictOf(endpoint, slice, facts, nowMs);
    const pod = podOf(endpoint, slice);
    return action === 'keep' || pod === undefined ? [] : [{ index, action, reason, pod }];
  });
}

/** JSON patch for an incoming write of a slice: raises only; empty when nothing is to be changed or the facts are not synced. */
export function overrideSlice(slice: EndpointSlice, facts: EndpointFacts, nowMs: number): readonly JsonPatchOperation[] {
  const raises = planSlice(slice, facts, nowMs).filter((change) => change.action === 'raise');
  return patchOf(slice, raises, facts);
}

/** JSON patch for a stored slice: raises and lowers, every endpoint guarded by `test` on its UID and old value, since indexes move. */
export function reconcileSlice(slice: EndpointSlice, facts: EndpointFacts, nowMs: number): readonly JsonPatchOperation[] {
  return patchOf(slice, planSlice(slice, facts, nowMs), facts);
}

/** JSON patch that makes the planned changes. */
export function patchOf(slice: EndpointSlice, changes: readonly EndpointChange[], facts: EndpointFacts): readonly JsonPatchOperation[] {
  const shape = changes.length === 0 ? undefined : hintShape(slice);
  return changes.flatMap(({ index, action, pod }) => {
    const endpoint = slice.endpoints?.[index];
    if (endpoint === undefined) return [];
    const at = `/endpoints/${index}`;
    const own = facts.pod(pod.namespace, pod.name);
    const hints = action === 'raise' && shape !== undefined && own !== undefined ? hintsFor(endpoint, shape, own, facts) : undefined;
    return [
      { op: 'test', path: `${at}/targetRef/uid`, value: pod.uid },
      ...(action === 'raise' ? raise(endpoint, at) : lower(endpoint, at, own?.podReady === true)),
      ...(hints === undefined ? [] : [{ op: 'add', path: `${at}/hints`, value: hints } as const]),
    ];
  });
}

function raise(endpoint: Endpoint, at: string): readonly JsonPatchOperation[] {
  const serving = endpoint.conditions?.serving === false ? [{ op: 'replace', path: `${at}/conditions/serving`, value: true } as const] : [];
  return [{ op: 'test', path: `${at}/conditions/ready`, value: false }, { op: 'replace', path: `${at}/conditions/ready`, value: true }, ...serving];
}

/** Kubernetes' own values of a pod that is not Ready; a Ready one that terminates goes on serving. */
function lower(endpoint: Endpoint, at: string, serves: boolean): readonly JsonPatchOperation[] {
  const { conditions } = endpoint;
  if (conditions === undefined) return [{ op: 'add', path: `${at}/conditions`, value: { ready: false } }];
  // An absent value cannot be tested; the whole object can.
  const absent = conditions.ready === undefined || conditions.ready === null;
  const test = absent ? { path: `${at}/conditions`, value: conditions } : { path: `${at}/conditions/ready`, value: true };
  const serving = conditions.serving === true && !serves ? [{ op: 'replace', path: `${at}/conditions/serving`, value: false } as const] : [];
  return [{ op: 'test', ...test }, { op: absent ? 'add' : 'replace', path: `${at}/conditions/ready`, value: false }, ...serving];
}

interface HintShape {
  readonly zones: boolean;
  readonly nodes: boolean;
}

/** Which hints the ready endpoints carry; undefined for none. One ready endpoint without makes kube-proxy ignore them all. */
function hintShape(slice: EndpointSlice): HintShape | undefined {
  const hints = (slice.endpoints ?? []).flatMap((endpoint) => (readsReady(endpoint) && endpoint.hints !== undefined ? [endpoint.hints] : []));
  const zones = hints.some((hint) => (hint.forZones?.length ?? 0) > 0);
  const nodes = hints.some((hint) => (hint.forNodes?.length ?? 0) > 0);
  return zones || nodes ? { zones, nodes } : undefined;
}

function hintsFor(endpoint: Endpoint, shape: HintShape, pod: PodFacts, facts: EndpointFacts): EndpointHints | undefined {
  if (endpoint.hints !== undefined) return undefined;
  const zone = endpoint.zone ?? nodeOf(pod, facts)?.zone;
  const node = endpoint.nodeName ?? pod.nodeName;
  const hints = {
    ...(shape.zones && zone !== undefined ? { forZones: [{ name: zone }] } : {}),
    ...(shape.nodes && node !== undefined ? { forNodes: [{ name: node }] } : {}),
  };
  return Object.keys(hints).length === 0 ? undefined : hints;
}
