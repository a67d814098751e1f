import { z } from 'zod';
import { EFFECTIVE_POLICY } from '../api/keys.ts';
import { policyOf, type FailoverPolicy } from '../api/policy.ts';

const Raw = z.record(z.string(), z.unknown());
const MAX_LENGTH = 4096;

/** The policy that was stamped on a pod; undefined when none was, so that the pod is not ours. What is not readable in it takes its default, which refuses. */
export function readPolicy(annotations: Readonly<Record<string, string>> | undefined): FailoverPolicy | undefined {
  const text = annotations?.[EFFECTIVE_POLICY];
  if (text === undefined) return undefined;
  const raw = parse(text);
  return policyOf(Object.fromEntries(Object.entries(raw).filter((entry): entry is [string, string] => typeof entry[1] === 'string')));
}

function parse(text: string): Readonly<Record<string, unknown>> {
  if (text.length > MAX_LENGTH) return {};
  try {
    return Raw.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    return {};
  }
}
