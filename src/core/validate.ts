import { EFFECTIVE_POLICY, FAILOVER_ENABLED, FAILOVER_LABEL, PREFIX } from '../api/keys.ts';
import { isPolicyKey, parseValue, POLICY_KEYS } from '../api/policy.ts';
import { nearest } from './nearest.ts';
import { firstOf, show } from './show.ts';

type Texts = Readonly<Record<string, string>>;

/** The part of a bare pod or namespace that people configure us with. */
export interface Configured {
  readonly kind: 'Pod' | 'Namespace';
  readonly annotations: Texts;
  readonly labels: Texts;
}

export interface Findings {
  /** `metadata.annotations[KEY]: must be …, not "…"`: the object is denied. */
  readonly errors: readonly string[];
  /** Shown to the person; the object is admitted. */
  readonly warnings: readonly string[];
}

/** More lines than a person reads; one object can hold thousands of keys. */
const LINES = 16;

/** Checks our annotations and labels. With `before` (an update) only what changed is looked at: an old mistake never stands in the way. */
export function validate(now: Configured, before?: Configured): Findings {
  const errors: string[] = [];
  const warnings: string[] = [];
  for (const [annotation, text] of changed(now.annotations, before?.annotations)) {
    const key = annotation.slice(PREFIX.length);
    if (!isPolicyKey(key)) {
      if (annotation !== EFFECTIVE_POLICY) warnings.push(unknownAnnotation(annotation, now.kind));
      continue;
    }
    const parsed = parseValue(key, text);
    if (!parsed.ok) errors.push(`metadata.annotations[${annotation}]: ${parsed.message}, not ${show(text)}`);
  }
  for (const [label, text] of changed(now.labels, before?.labels)) {
    const warning = labelWarning(label, text, now.kind);
    if (warning !== undefined) warnings.push(warning);
  }
  return { errors: firstOf(errors, LINES), warnings: firstOf(warnings, LINES) };
}

function changed(now: Texts, before: Texts | undefined): [string, string][] {
  return Object.entries(now).filter(([key, text]) => key.startsWith(PREFIX) && before?.[key] !== text);
}

function unknownAnnotation(annotation: string, kind: Configured['kind']): string {
  if (annotation === FAILOVER_LABEL)
    return `annotation ${FAILOVER_LABEL} has no effect; it is a label of the namespace${kind === 'Namespace' ? ', not an annotation' : ''}`;
  const near = nearest(annotation.slice(PREFIX.length), POLICY_KEYS);
  return `annotation ${bare(annotation)} is not known and has no effect${near === undefined ? '' : `; did you mean ${PREFIX}${near}?`}`;
}

function labelWarning(label: string, text: string, kind: Configured['kind']): string | undefined {
  if (label === FAILOVER_LABEL) {
    if (kind === 'Pod') return `label ${FAILOVER_LABEL} has no effect on a pod; put it on the namespace`;
    return text === FAILOVER_ENABLED ? undefined : `label ${FAILOVER_LABEL} with the value ${show(text)} has no effect; use "${FAILOVER_ENABLED}"`;
  }
  return isPolicyKey(label.slice(PREFIX.length)) ? `label ${label} has no effect; it is an annotation` : undefined;
}

function bare(key: string): string {
  return show(key).slice(1, -1);
}
