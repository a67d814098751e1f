/** What a load client saw of one target, and what follows from it. Times are epoch milliseconds with fractions, durations milliseconds. */

/** One request, as the load client writes it: target, start, duration until the whole answer or the failure, status (0 without a whole answer), error code. */
export interface Result {
  readonly n: string;
  readonly t: number;
  readonly d: number;
  readonly s: number;
  readonly e?: string;
}

/** A span of request starts; fromMs belongs to it, toMs does not. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Summary {
  readonly requests: number;
  readonly failures: number;
  /** 0 if nothing failed; see longestOutage. */
  readonly longestOutageMs: number;
  /** True if no good answer followed: the outage lasted at least longestOutageMs. */
  readonly outageOpen: boolean;
  /** Of the good answers; undefined without any. */
  readonly medianMs: number | undefined;
  readonly p99Ms: number | undefined;
  /** The longest time in which no request was sent: much more than the period means that the client itself was held up, and the figures say less than they seem to. */
  readonly longestSilenceMs: number;
}

/** What one fault cost. Everything is counted from the instant of the fault. */
export interface Outage {
  /**
   * From the fault to the completion of the first good answer that follows the last failure of the episode: 0 if nothing failed, undefined if no good answer followed.
   * It is never flattering: it holds the client's own period, and a single late failure extends it.
   */
  readonly windowMs: number | undefined;
  /** Failed requests of the episode. */
  readonly failed: number;
  /** Failed requests after the episode: not in windowMs, so never to be left out where windowMs is shown. */
  readonly failedLater: number;
  /** From the fault to the start of the first request that failed; negative if that one was on its way when the fault came; undefined if nothing failed. */
  readonly firstFailureAfterMs: number | undefined;
}

/** Parses the load client's lines; throws on a line that is not a result. */
export function parseResults(text: string): readonly Result[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseResult);
}

/** One target's or several targets' results in order of their start, each once, however often and in whatever order they were read. */
export function collect(...batches: readonly (readonly Result[])[]): readonly Result[] {
  const byKey = new Map<string, Result>();
  for (const batch of batches) for (const result of batch) byKey.set(`${result.t} ${result.n}`, result);
  return [...byKey.values()].sort((a, b) => a.t - b.t || (a.n < b.n ? -1 : 1));
}

/** A good answer: complete, with a 2xx status. */
export function isGood(result: Result): boolean {
  return result.s >= 200 && result.s < 300;
}

/** Counts the requests that started within the span; answers that came later still end an outage. */
export function summarise(results: readonly Result[], span: Span): Summary {
  const counted = results.filter((result) => result.t >= span.fromMs && result.t < span.toMs);
  const goodMs = counted.filter(isGood).map((result) => result.d);
  const starts = counted.map((result) => result.t).sort((a, b) => a - b);
  const outage = longestOutage(results, span);
  return {
    requests: counted.length,
    failures: counted.length - goodMs.length,
    longestOutageMs: outage.ms,
    outageOpen: outage.open,
    medianMs: median(goodMs),
    p99Ms: percentile(goodMs, 99),
    longestSilenceMs: starts.reduce((longest, start, index) => Math.max(longest, start - (starts[index - 1] ?? start)), 0),
  };
}

/**
 * The longest outage of one target. An outage is what one failed request cost somebody who asks again and again: the time from its start to the completion of the first
 * good answer to a request that started after it. Answers to requests already on their way do not end it, failures still on their way when it ends do not prolong it; of
 * failures in a row the first counts, since it waited longest. Failures among good answers are many short outages: the number of failures tells them from one long one.
 * Without any later good answer it is open, and lasts until the last thing that is known.
 */
export function longestOutage(results: readonly Result[], span: Span): { readonly ms: number; readonly open: boolean } {
  const ordered = results.toSorted((a, b) => b.t - a.t);
  const knownUntilMs = ordered.reduce((latest, result) => Math.max(latest, end(result)), 0);
  let goodAtMs = Infinity;
  let longest = { ms: 0, open: false };
  for (const result of ordered) {
    if (isGood(result)) goodAtMs = Math.min(goodAtMs, end(result));
    else if (result.t >= span.fromMs && result.t < span.toMs) {
      const open = goodAtMs === Infinity;
      const ms = (open ? knownUntilMs : goodAtMs) - result.t;
      if (ms > longest.ms) longest = { ms, open };
    }
  }
  return longest;
}

/** From an instant to the completion of the first good answer to a request that started after it; undefined if there is none. */
export function firstGoodAfter(results: readonly Result[], instantMs: number): number | undefined {
  const ends = results.filter((result) => isGood(result) && result.t > instantMs).map(end);
  return ends.length === 0 ? undefined : least(ends) - instantMs;
}

/**
 * What a fault cost one target. The episode begins with the first request that failed at or after the fault, also one that was on its way then, and goes on as long as the next
 * failure starts within quietMs of the one before; with an endless quietMs every failure before toMs belongs to it.
 */
export function outageAfter(
  results: readonly Result[],
  faultMs: number,
  { quietMs = 1000, toMs = Infinity }: { readonly quietMs?: number; readonly toMs?: number } = {},
): Outage {
  const failures = results.filter((result) => !isGood(result) && end(result) >= faultMs && result.t < toMs).sort((a, b) => a.t - b.t);
  const [first] = failures;
  if (first === undefined) return { windowMs: 0, failed: 0, failedLater: 0, firstFailureAfterMs: undefined };
  const pause = failures.findIndex((failure, index) => failure.t - (failures[index - 1] ?? failure).t > quietMs);
  const episode = pause < 0 ? failures : failures.slice(0, pause);
  const lastMs = Math.max(faultMs, episode.at(-1)?.t ?? faultMs);
  const goodAfterMs = firstGoodAfter(results, lastMs);
  return {
    windowMs: goodAfterMs === undefined ? undefined : lastMs + goodAfterMs - faultMs,
    failed: episode.length,
    failedLater: failures.length - episode.length,
    firstFailureAfterMs: first.t - faultMs,
  };
}

/** The middle value, or the mean of the two in the middle; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** The smallest of the values that at least `percent` per cent of them do not exceed (nearest rank); undefined of nothing. */
export function percentile(values: readonly number[], percent: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length, Math.max(1, Math.ceil((percent / 100) * sorted.length))) - 1];
}

function end(result: Result): number {
  return result.t + result.d;
}

/** Math.min with a spread overflows the stack on long series. */
function least(values: readonly number[]): number {
  return values.reduce((low, value) => Math.min(low, value), Infinity);
}

function parseResult(line: string): Result {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new Error(`not a result: ${line.slice(0, 120)}`, { cause });
  }
  if (!isResult(value)) throw new Error(`not a result: ${line.slice(0, 120)}`);
  return value;
}

function isResult(value: unknown): value is Result {
  if (typeof value !== 'object' || value === null) return false;
  const { n, t, d, s, e } = value as Readonly<Record<keyof Result, unknown>>;
  return typeof n === 'string' && typeof t === 'number' && typeof d === 'number' && typeof s === 'number' && (e === undefined || typeof e === 'string');
}
