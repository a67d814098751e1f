import { PREFIX } from '../api/keys.ts';
import { defaultText, parseValue, POLICY_KEYS } from '../api/policy.ts';
import type { PolicyKey } from '../api/policy.ts';
import { show } from './show.ts';

type Annotations = Readonly<Record<string, string>>;
/** Every key with its value as a person would write it; what `effective-policy` holds, and `policyOf` reads. */
export type RawPolicy = Readonly<Record<PolicyKey, string>>;

export interface EffectivePolicy {
  readonly raw: RawPolicy;
  /** One sentence for each value that does not parse; its key has the built-in default. */
  readonly warnings: readonly string[];
}

/**
 * Merges a pod's annotations with those of its namespace; the pod's own value wins.
 * A value that does not parse gives the built-in default, not the namespace's value: a mistyped `security` must not become the namespace's `allow`.
 */
export function effectivePolicy(own: Annotations, namespace: Annotations): EffectivePolicy {
  const raw: Partial<Record<PolicyKey, string>> = {};
  const warnings: string[] = [];
  for (const key of POLICY_KEYS) {
    const annotation = PREFIX + key;
    const ownText = own[annotation];
    const text = ownText ?? namespace[annotation];
    raw[key] = defaultText(key);
    if (text === undefined) continue;
    const parsed = parseValue(key, text);
    if (parsed.ok) raw[key] = text;
    else {
      const place = ownText === undefined ? 'namespace annotation' : 'metadata.annotations';
      warnings.push(`${place}[${annotation}]: ${parsed.message}, not ${show(text)}; the default ${show(defaultText(key))} is used`);
    }
  }
  return { raw: raw as RawPolicy, warnings };
}

/** Compact JSON in the order of the keys' table: equal policies give equal texts. */
export function policyText(raw: RawPolicy): string {
  return JSON.stringify(Object.fromEntries(POLICY_KEYS.map((key) => [key, raw[key]])));
}
