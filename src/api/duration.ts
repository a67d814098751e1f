const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const PART = /(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)/g;
const WHOLE = /^(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h)){1,4}$/;

/** Parses a duration as Go and Kubernetes write it (`200ms`, `1.5s`, `1m30s`) to milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!WHOLE.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(PART)) totalMs += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  return Number.isFinite(totalMs) ? totalMs : undefined;
}

/** Writes milliseconds as the shortest such duration, e.g. 1000 as `1s`. */
export function formatDuration(ms: number): string {
  if (ms % 60_000 === 0 && ms !== 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
