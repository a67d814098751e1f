import { summarise } from './series.ts';
import type { Result, Span } from './series.ts';
import { outageText } from './table.ts';
import { binned } from './timeline.ts';
import type { Bin } from './timeline.ts';

/** What the picture shows: a column for each arm, in it a panel for each client. Times are epoch milliseconds. */
export interface Picture {
  readonly title: string;
  readonly subtitle?: string;
  readonly span: Span;
  readonly arms: readonly PictureArm[];
}

export interface PictureArm {
  readonly title: string;
  readonly marks: readonly Mark[];
  readonly clients: readonly { readonly name: string; readonly results: readonly Result[] }[];
}

/** An instant worth a labelled line, such as 'sidecar killed'. */
export interface Mark {
  readonly atMs: number;
  readonly label: string;
}

interface PlacedMark {
  /** From the left edge of the plot. */
  readonly x: number;
  readonly label: string;
  readonly lane: number;
  readonly side: 'start' | 'end';
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const WIDTH = 960;
const EDGE = 28;
const AXIS = 46;
const COLUMN_GAP = 30;
const PLOT_HEIGHT = 130;
/** Of a panel without its lanes: name, plot, axis, distance to the next. */
const PANEL_HEIGHT = 216;
const LANE_HEIGHT = 17;
const MOST_LANES = 3;
const HEAD = 138;
const MOST_BINS = 200;
/** Okabe and Ito's blue, vermillion and their like: told apart by colour-blind eyes, and in grey by their lightness. */
const COLOUR = { good: '#0072B2', goodFill: '#A9D3EE', failed: '#D55E00', ink: '#1B1F24', soft: '#57606A', grid: '#D8DEE4' };

/** Draws the share of good answers over time as an SVG that needs nothing else. */
export function drawPicture(picture: Picture): string {
  const { arms, span } = picture;
  const rows = Math.max(1, ...arms.map((arm) => arm.clients.length));
  const columnWidth = (WIDTH - 2 * EDGE - (arms.length - 1) * COLUMN_GAP) / Math.max(1, arms.length);
  const marks = arms.map((arm) => placeMarks(columnWidth - AXIS - 4, span, arm.marks));
  const lanes = Math.max(1, ...marks.flat().map((mark) => mark.lane + 1));
  const panelHeight = PANEL_HEIGHT + lanes * LANE_HEIGHT;
  const height = HEAD + rows * panelHeight + 8;
  const binMs = binWidthMs(span);
  const elements = arms.flatMap((arm, index) => {
    const left = EDGE + index * (columnWidth + COLUMN_GAP);
    const panels = arm.clients.flatMap((client, row) => {
      const top = HEAD + row * panelHeight;
      const plot = { left: left + AXIS, top: top + 44 + lanes * LANE_HEIGHT, width: columnWidth - AXIS - 4, height: PLOT_HEIGHT };
      return [
        text(left, top + 28, client.name, { size: 15, weight: 'bold' }),
        text(left + columnWidth, top + 28, outcome(client.results, span), { size: 14, anchor: 'end' }),
        ...drawAxes(plot, span),
        ...drawBins(plot, span, binned(client.results, span, binMs), binMs),
        ...drawMarks(plot, marks[index] ?? []),
      ];
    });
    return [
      text(left, HEAD - 4, arm.title, { size: 18, weight: 'bold' }),
      `<path d="M${n(left)} ${HEAD + 5}H${n(left + columnWidth)}" stroke="${COLOUR.ink}" stroke-width="1.5"/>`,
      ...panels,
    ];
  });
  const drawing = [
    `<rect width="${WIDTH}" height="${height}" fill="#FFFFFF"/>`,
    text(EDGE, 42, picture.title, { size: 23, weight: 'bold' }),
    text(EDGE, 68, picture.subtitle ?? '', { size: 15, fill: COLOUR.soft }),
    legend(EDGE, 96, binMs),
    ...elements,
  ].filter((element) => element !== '');
  return `${openSvg(height)}\n<title>${escape(picture.title)}</title>\n${drawing.join('\n')}\n</svg>\n`;
}

function openSvg(height: number): string {
  const font = "Helvetica, Arial, 'DejaVu Sans', sans-serif";
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="${font}">`;
}

function outcome(results: readonly Result[], span: Span): string {
  const summary = summarise(results, span);
  return `${summary.failures} of ${summary.requests} failed${summary.failures === 0 ? '' : `, longest outage ${outageText(summary)}`}`;
}

function drawAxes(plot: Box, span: Span): readonly string[] {
  const bottom = plot.top + plot.height;
  const seconds = (span.toMs - span.fromMs) / 1000;
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((candidate) => seconds / candidate <= 8) ?? seconds;
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
  return [
    ...[0, 50, 100].flatMap((percent) => {
      const y = bottom - (percent / 100) * plot.height;
      return [
        `<path d="M${n(plot.left)} ${n(y)}H${n(plot.left + plot.width)}" stroke="${COLOUR.grid}"/>`,
        text(plot.left - 7, y + 5, percent === 100 ? '100%' : `${percent}`, { size: 13, anchor: 'end', fill: COLOUR.soft }),
      ];
    }),
    `<path d="M${n(plot.left)} ${n(bottom)}H${n(plot.left + plot.width)}" stroke="${COLOUR.ink}"/>`,
    ...ticks.flatMap((tick, index) => {
      const x = plot.left + (tick / seconds) * plot.width;
      return [
        `<path d="M${n(x)} ${n(bottom)}v5" stroke="${COLOUR.ink}"/>`,
        text(x, bottom + 20, index === 0 ? '0 s' : `${tick}`, { size: 13, anchor: 'middle', fill: COLOUR.soft }),
      ];
    }),
  ];
}

/** Good answers as an area from below, failures as what is missing above it: a full outage is a solid block. Where nothing was asked, nothing is drawn. */
function drawBins(plot: Box, span: Span, bins: readonly Bin[], binMs: number): readonly string[] {
  const bottom = plot.top + plot.height;
  const x = (atMs: number): number => plot.left + (Math.min(atMs, span.toMs) - span.fromMs) * (plot.width / (span.toMs - span.fromMs));
  const asked = bins.filter((bin) => bin.good + bin.failed > 0);
  const y = (bin: Bin): number => bottom - (bin.good / (bin.good + bin.failed)) * plot.height;
  const bars = (from: (bin: Bin) => number, to: (bin: Bin) => number): string =>
    asked
      .filter((bin) => to(bin) - from(bin) > 0)
      .map((bin) => `M${n(x(bin.fromMs))} ${n(from(bin))}H${n(x(bin.fromMs + binMs))}V${n(to(bin))}H${n(x(bin.fromMs))}Z`)
      .join('');
  const line = asked
    .map((bin, index) => `${asked[index - 1]?.fromMs === bin.fromMs - binMs ? 'L' : 'M'}${n(x(bin.fromMs))} ${n(y(bin))}H${n(x(bin.fromMs + binMs))}`)
    .join('');
  return [
    `<path d="${bars(y, () => bottom)}" fill="${COLOUR.goodFill}"/>`,
    `<path d="${bars(() => plot.top, y)}" fill="${COLOUR.failed}"/>`,
    `<path d="${line}" fill="none" stroke="${COLOUR.good}" stroke-width="2"/>`,
  ];
}

/** Every mark as a line; the labels lie in lanes above the plot, over a white edge where another mark's line crosses them. */
function drawMarks(plot: Box, marks: readonly PlacedMark[]): readonly string[] {
  const labelY = (mark: PlacedMark): number => plot.top - 8 - mark.lane * LANE_HEIGHT;
  const lines = marks.map((mark) => `M${n(plot.left + mark.x)} ${n(labelY(mark) - 11)}V${n(plot.top + plot.height)}`).join('');
  const labels = marks.map((mark) =>
    text(plot.left + mark.x + (mark.side === 'end' ? -5 : 5), labelY(mark), mark.label, { size: 13, anchor: mark.side, edged: true }),
  );
  return [`<path d="${lines}" fill="none" stroke="${COLOUR.ink}" stroke-width="1.5" stroke-dasharray="4 3"/>`, ...labels];
}

/** Finds each label the lowest lane, and the side of its line, where it fits; where none does, the last lane has to bear it. */
function placeMarks(plotWidth: number, span: Span, marks: readonly Mark[]): readonly PlacedMark[] {
  const taken: Array<{ readonly lane: number; readonly from: number; readonly to: number }> = [];
  return marks
    .filter((mark) => mark.atMs >= span.fromMs && mark.atMs <= span.toMs)
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ atMs, label }) => {
      const x = ((atMs - span.fromMs) / (span.toMs - span.fromMs)) * plotWidth;
      const width = label.length * 7.3 + 5;
      const places = Array.from({ length: MOST_LANES }, (_, lane) => [
        { lane, side: 'start' as const, from: x, to: x + width },
        { lane, side: 'end' as const, from: x - width, to: x },
      ]).flat();
      const fits = (place: (typeof places)[number]): boolean =>
        place.from >= -AXIS &&
        place.to <= plotWidth + 4 &&
        !taken.some((other) => other.lane === place.lane && place.from < other.to + 6 && other.from < place.to + 6);
      const place = places.find(fits) ?? { lane: MOST_LANES - 1, side: x > plotWidth / 2 ? ('end' as const) : ('start' as const), from: x, to: x };
      taken.push(place);
      return { x, label, lane: place.lane, side: place.side };
    });
}

function legend(left: number, top: number, binMs: number): string {
  return [
    `<rect x="${left}" y="${top - 11}" width="14" height="14" fill="${COLOUR.goodFill}" stroke="${COLOUR.good}" stroke-width="1.5"/>`,
    text(left + 21, top + 1, 'answered', { size: 14 }),
    `<rect x="${left + 100}" y="${top - 11}" width="14" height="14" fill="${COLOUR.failed}"/>`,
    text(left + 121, top + 1, 'failed', { size: 14 }),
    text(left + 180, top + 1, `share of the requests sent in each ${binMs === 1000 ? 'second' : `${binMs / 1000} s`}, over seconds since the start`, {
      size: 14,
      fill: COLOUR.soft,
    }),
  ].join('\n');
}

/** Half a second or more: enough requests in each bin, and not more bins than the plot has room for. */
function binWidthMs(span: Span): number {
  return [500, 1000, 2000, 5000, 10_000, 30_000, 60_000].find((width) => (span.toMs - span.fromMs) / width <= MOST_BINS) ?? 300_000;
}

function text(
  x: number,
  y: number,
  content: string,
  style: { readonly size: number; readonly weight?: 'bold'; readonly anchor?: 'middle' | 'end' | 'start'; readonly fill?: string; readonly edged?: boolean },
): string {
  if (content === '') return '';
  const weight = style.weight === undefined ? '' : ` font-weight="${style.weight}"`;
  const anchor = style.anchor === undefined || style.anchor === 'start' ? '' : ` text-anchor="${style.anchor}"`;
  const edge = style.edged === true ? ' stroke="#FFFFFF" stroke-width="5" stroke-linejoin="round" paint-order="stroke"' : '';
  return `<text x="${n(x)}" y="${n(y)}" font-size="${style.size}" fill="${style.fill ?? COLOUR.ink}"${weight}${anchor}${edge}>${escape(content)}</text>`;
}

function n(value: number): string {
  return `${Math.round(value * 10) / 10}`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
