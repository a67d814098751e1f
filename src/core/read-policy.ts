import { EFFECTIVE_POLICY } from '../api/keys.ts';
import { policyOf, type FailoverPolicy } from '../api/policy.ts';

/** Longest stamp that is read; ours has some hundred characters. */
const MAX_LENGTH = 4096;

/** The policy that was stamped on a pod; undefined when none was, so that the pod is not ours. What is not readable in it takes its default, which refuses. */
export function readPolicy(annotations: Readonly<Record<string, string>> | undefined): FailoverPolicy | undefined {
  const text = annotations?.[EFFECTIVE_POLICY];
  if (text === undefined) return undefined;
  const texts = Object.entries(parse(text)).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return policyOf(Object.fromEntries(texts));
}

function parse(text: string): object {
  if (text.length > MAX_LENGTH) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
