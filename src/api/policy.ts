import { z } from 'zod';
import { parseDuration, formatDuration } from './duration.ts';

/*
 * Annotation values are strings, so strings are parsed here; z.coerce would make 0 of "" and 100 of "1e2".
 * A key stands here only once it works: any other key below our prefix is an unknown-key warning.
 */

function duration(minMs: number, maxMs: number) {
  const message = `must be a duration between ${formatDuration(minMs)} and ${formatDuration(maxMs)}, e.g. "1s" or "200ms"`;
  return z
    .string()
    .refine((text) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms >= minMs && ms <= maxMs;
    }, message)
    .transform((text) => parseDuration(text) ?? Number.NaN);
}

function count(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max} in quotes, e.g. "3"`;
  return z
    .string()
    .regex(/^[1-9]\d{0,8}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message);
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, `must be one of ${values.map((value) => `"${value}"`).join(', ')}`);
}

/** Keys of the failover annotations without their prefix, with what each value parses to (durations in ms). */
export const PolicyKeys = {
  mode: oneOf(['enforce', 'observe', 'off']).meta({
    default: 'enforce',
    description: 'enforce: bypass a failed sidecar. observe: report what would be done, change nothing. off: leave the pod alone.',
  }),
  security: oneOf(['refuse', 'allow']).meta({
    default: 'refuse',
    description: 'Whether a bypass may suspend mTLS and policies. `allow` counts only in namespaces that the installation lists.',
  }),
  'probe-period': duration(100, 60_000).meta({ default: '1s', description: 'Time between two health probes of port 15021.' }),
  'probe-timeout': duration(50, 60_000).meta({ default: '1s', description: 'Time after which a health probe counts as failed.' }),
  'success-threshold': count(1, 100).meta({ default: '3', description: 'Consecutive good probes before a bypass is restored.' }),
  'min-bypass-duration': duration(0, 300_000).meta({
    default: '10s',
    description: 'Shortest time a bypass lasts; doubles at every re-entry, up to 5 min, and falls back after a quiet time. Delays only the restore.',
  }),
} as const;

export type PolicyKey = keyof typeof PolicyKeys;
export const POLICY_KEYS = Object.keys(PolicyKeys) as readonly PolicyKey[];

export type FailoverPolicy = { readonly [K in PolicyKey]: z.output<(typeof PolicyKeys)[K]> };

/** The default of a key, as a person would write it. */
export function defaultText(key: PolicyKey): string {
  return String(PolicyKeys[key].meta()?.['default']);
}

export type ParsedValue<K extends PolicyKey> = { ok: true; value: FailoverPolicy[K] } | { ok: false; message: string };

/** Parses one annotation value; never throws. */
export function parseValue<K extends PolicyKey>(key: K, text: string): ParsedValue<K> {
  const result = PolicyKeys[key].safeParse(text);
  if (result.success) return { ok: true, value: result.data as FailoverPolicy[K] };
  return { ok: false, message: result.error.issues[0]?.message ?? 'is invalid' };
}

export function isPolicyKey(key: string): key is PolicyKey {
  return Object.hasOwn(PolicyKeys, key);
}

/** The policy that the given raw values make; what is missing or does not parse takes its default. */
export function policyOf(raw: Readonly<Partial<Record<PolicyKey, string>>>): FailoverPolicy {
  const policy: Record<string, unknown> = {};
  for (const key of POLICY_KEYS) {
    const text = raw[key];
    const parsed = text === undefined ? undefined : parseValue(key, text);
    policy[key] = parsed?.ok ? parsed.value : unwrap(parseValue(key, defaultText(key)));
  }
  return policy as FailoverPolicy;
}

function unwrap<K extends PolicyKey>(parsed: ParsedValue<K>): FailoverPolicy[K] {
  if (!parsed.ok) throw new Error(`bug: a default does not parse: ${parsed.message}`);
  return parsed.value;
}
