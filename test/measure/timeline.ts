import { isGood } from './series.ts';
import type { Result, Span } from './series.ts';

/** The requests that started within [fromMs, fromMs + width of a bin). */
export interface Bin {
  readonly fromMs: number;
  readonly good: number;
  readonly failed: number;
}

/** How a span of time went for a client: every request good, some failed, none good, or nothing known. */
export type Cell = 'good' | 'some' | 'none' | 'empty';

/** Counts a target's results by the start of the request, in bins of binMs from span.fromMs on; the last bin may reach beyond span.toMs but counts nothing there. */
export function binned(results: readonly Result[], span: Span, binMs: number): readonly Bin[] {
  const counts = Array.from({ length: Math.max(0, Math.ceil((span.toMs - span.fromMs) / binMs)) }, () => ({ good: 0, failed: 0 }));
  for (const result of results) {
    const count = result.t < span.toMs ? counts[Math.floor((result.t - span.fromMs) / binMs)] : undefined;
    if (count !== undefined) count[isGood(result) ? 'good' : 'failed'] += 1;
  }
  return counts.map((count, index) => ({ fromMs: span.fromMs + index * binMs, ...count }));
}

/** One cell for each cellMs from span.fromMs on. The latest ones can still change: a hanging request is known to have failed only when its time is up. */
export function timeline(results: readonly Result[], span: Span, cellMs = 1000): readonly Cell[] {
  return binned(results, span, cellMs).map(cellOf);
}

function cellOf({ good, failed }: Bin): Cell {
  if (failed === 0) return good === 0 ? 'empty' : 'good';
  return good === 0 ? 'none' : 'some';
}
