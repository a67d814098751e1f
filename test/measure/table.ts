import { median } from './series.ts';
import type { Outage, Summary } from './series.ts';

const GAP = '  ';

/** One line of the table at the end of a run: who asked which arm, and how it went. */
export interface Outcome {
  readonly arm: string;
  readonly client: string;
  readonly summary: Summary;
}

/** One line of a failover benchmark: the same fault, many times. */
export interface Failover {
  readonly arm: string;
  readonly client: string;
  readonly outages: readonly Outage[];
}

/** Requests, failures and longest outage for each arm and client, at most 80 columns. */
export function outcomeTable(outcomes: readonly Outcome[]): string {
  return renderTable(
    ['', 'client', 'requests', 'failures', 'longest outage'],
    outcomes.map(({ arm, client, summary }) => [arm, client, `${summary.requests}`, failures(summary), outageText(summary)]),
  );
}

/** The windows of Outage.windowMs over all runs, and the median number of failed requests, at most 80 columns. A run without recovery counts as endless. */
export function failoverTable(failovers: readonly Failover[]): string {
  return renderTable(
    ['', 'client', 'runs', 'median', 'least', 'most', 'failed (median)'],
    failovers.map(({ arm, client, outages }) => {
      const windowsMs = outages.map((outage) => outage.windowMs ?? Infinity).sort((a, b) => a - b);
      const failed = median(outages.map((outage) => outage.failed + outage.failedLater));
      return [
        arm,
        client,
        `${outages.length}`,
        ...[median(windowsMs), windowsMs[0], windowsMs.at(-1)].map(durationText),
        failed === undefined ? '-' : `${failed}`,
      ];
    }),
  );
}

/** A plain-text table under a ruled header, without trailing blanks: the first column and the second to the left, figures to the right. The first column gives way above width. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[], width = 80): string {
  const natural = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const excess = Math.max(0, natural.reduce((sum, size) => sum + size, GAP.length * (natural.length - 1)) - width);
  const sizes = natural.map((size, column) => (column === 0 ? Math.max(4, size - excess) : size));
  const line = (row: readonly string[]): string =>
    sizes
      .map((size, column) => pad(row[column] ?? '', size, column))
      .join(GAP)
      .trimEnd();
  return [line(header), sizes.map((size) => '-'.repeat(size)).join(GAP), ...rows.map(line)].join('\n');
}

/** Milliseconds as a person reads them: '47 ms', '4.1 s', '3 min 5 s'; '-' if unknown, 'never' if endless. */
export function durationText(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms === Infinity) return 'never';
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 119_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** The longest outage as a person reads it: 'none', '47 ms', or 'over 57.3 s' if it had not ended. */
export function outageText({ failures, longestOutageMs, outageOpen }: Summary): string {
  if (failures === 0) return 'none';
  return `${outageOpen ? 'over ' : ''}${durationText(longestOutageMs)}`;
}

function failures({ failures, requests }: Summary): string {
  return failures === 0 ? '0' : `${failures} (${percentText(failures / requests)})`;
}

/** Never rounds some to 0 % nor not quite all to 100 %. */
function percentText(share: number): string {
  const percent = share * 100;
  if (percent >= 99.95 && percent < 100) return '99.9 %';
  return percent < 0.05 ? '<0.1 %' : `${percent.toFixed(percent >= 100 ? 0 : 1)} %`;
}

function pad(text: string, size: number, column: number): string {
  const shown = text.length > size ? `${text.slice(0, size - 1)}…` : text;
  return column < 2 ? shown.padEnd(size) : shown.padStart(size);
}
