import type { Cell } from '../measure/timeline.ts';

/** What the demo shows at one moment. */
export interface ScreenModel {
  readonly elapsedMs: number;
  /** What is going on, in a few words. */
  readonly caption: string;
  readonly arms: readonly ScreenArm[];
}

export interface ScreenArm {
  readonly title: string;
  readonly clients: readonly ScreenClient[];
  /** One line a pod. */
  readonly pods: readonly string[];
  readonly endpoints: string;
}

export interface ScreenClient {
  readonly name: string;
  /** One a second since the load started, the latest last: only ever appended to, though the latest ones may change (a request that hangs has not failed yet). */
  readonly cells: readonly Cell[];
  /** Failed requests so far; undefined while nothing is known. */
  readonly failures?: number;
}

type Paint = (code: string, text: string) => string;

const SIGNS: Readonly<Record<Cell, string>> = { good: '#', some: '+', none: '.', empty: ' ' };
const COLOURS: Readonly<Record<Cell, string>> = { good: '32', some: '33', none: '31', empty: '0' };
/** What the signs of a timeline mean. */
export const KEY = '# all answered   + some failed   . none answered   one sign a second';
const FAILED_WIDTH = 13;

/** The live block: lines of at most width visible columns, with escape codes only if colour is wanted. */
export function render(model: ScreenModel, width: number, colour: boolean): readonly string[] {
  const paint: Paint = (code, text) => (colour && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text);
  const names = model.arms.flatMap((arm) => arm.clients.map((client) => client.name.length));
  const labelWidth = Math.min(Math.max(0, ...names) + 4, Math.ceil(width / 3));
  return [
    paint('1', cut(`${clockText(model.elapsedMs)}  ${plain(model.caption)}`, width)),
    ...model.arms.flatMap((arm) => [
      '',
      paint('1', cut(plain(arm.title), width)),
      ...arm.clients.map((client) => cut(`  ${plain(client.name)}`, labelWidth - 1).padEnd(labelWidth) + strip(client, width - labelWidth, paint)),
      ...(arm.pods.length === 0 ? ['none'] : arm.pods).flatMap((line) => wrap(`  pod        ${plain(line)}`, width, 13)),
      ...wrap(`  endpoints  ${plain(arm.endpoints)}`, width, 13),
    ]),
    '',
    paint('2', cut(KEY, width)),
  ];
}

/** What a pipe is told when caption, pods or endpoints are not what they were: plain lines of at most width columns. */
export function renderChanges(model: ScreenModel, before: ScreenModel | undefined, width: number): readonly string[] {
  const caption = model.caption === before?.caption ? [] : [model.caption];
  const news = model.arms.flatMap((arm, index) => {
    const old = before?.arms[index];
    const pods = arm.pods.filter((line) => !(old?.pods ?? []).includes(line)).map((line) => `${arm.title}: pod ${line}`);
    return arm.endpoints === old?.endpoints ? pods : [...pods, `${arm.title}: endpoints ${arm.endpoints}`];
  });
  return [...caption, ...news].flatMap((line) => wrap(`${clockText(model.elapsedMs)}  ${plain(line)}`, width, 7));
}

/** What a pipe is told of the seconds [from, to) of every timeline: one plain line for each arm. */
export function renderSeconds(model: ScreenModel, from: number, to: number, width: number): readonly string[] {
  const titleWidth = Math.max(0, ...model.arms.map((arm) => arm.title.length));
  return model.arms.map((arm) => {
    const clients = arm.clients.map((client) => `  ${client.name} ${signs(client.cells.slice(from, to))}`.padEnd(client.name.length + 3 + to - from));
    return cut(`${clockText(from * 1000)}-${clockText(to * 1000)}  ${plain(arm.title).padEnd(titleWidth)}${clients.join('')}`.trimEnd(), width);
  });
}

/** Minutes and seconds, '01:07'. */
export function clockText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${`${Math.floor(seconds / 60)}`.padStart(2, '0')}:${`${seconds % 60}`.padStart(2, '0')}`;
}

/** One line without control characters: what comes from elsewhere must not move the cursor. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}

function strip(client: ScreenClient, width: number, paint: Paint): string {
  const room = Math.max(1, width - FAILED_WIDTH);
  const shown = client.cells.slice(-room);
  const painted = runs(shown).map((run) => paint(COLOURS[run[0] ?? 'empty'], signs(run)));
  const failed = client.failures === undefined ? '' : `${client.failures} failed`;
  return `${painted.join('')}${' '.repeat(room - shown.length)}${cut(failed.padStart(FAILED_WIDTH), width - room)}`.trimEnd();
}

/** Equal neighbours together, so that each run is painted once. */
function runs(cells: readonly Cell[]): readonly (readonly Cell[])[] {
  const grouped: Cell[][] = [];
  for (const cell of cells) {
    const current = grouped.at(-1);
    if (current !== undefined && current[0] === cell) current.push(cell);
    else grouped.push([cell]);
  }
  return grouped;
}

function signs(cells: readonly Cell[]): string {
  return cells.map((cell) => SIGNS[cell]).join('');
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}~` : text;
}

/** Lines of at most width columns, broken at blanks, so that nothing is lost; what follows the first line is indented by `hanging`. */
export function wrap(text: string, width: number, hanging: number): readonly string[] {
  if (text.length <= width) return [text];
  const indent = Math.min(hanging, Math.floor(width / 2));
  const blank = text.lastIndexOf(' ', width);
  const at = blank > indent ? blank : width;
  const rest = text.slice(at).trim();
  return [text.slice(0, at).trimEnd(), ...(rest === '' ? [] : wrap(' '.repeat(indent) + rest, width, indent))];
}
