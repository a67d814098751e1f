import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BYPASS_RECORD, TRAFFIC_LABEL } from '../../src/api/keys.ts';
import { parseBypassRecord, type BypassRecord } from '../../src/api/bypass-record.ts';
import { ROOT } from '../cluster/paths.ts';
import { drawPicture, type Mark } from '../measure/picture.ts';
import { collect, summarise, type Summary } from '../measure/series.ts';
import { durationText, outcomeTable } from '../measure/table.ts';
import { CLIENTS, type ArmView, type ClientName, type Observer } from './observe.ts';
import { restartsOf } from './pod-line.ts';
import { ARMS, RATE } from './shops.ts';
import type { Story } from './story.ts';
import { brokenPromise } from './verdict.ts';

/** What the demo showed, as text for a terminal of 80 columns, and the sentence that says why it did not show what it should, if so. */
export interface Report {
  readonly text: string;
  readonly broken: string | undefined;
}

interface ArmReport {
  readonly namespace: string;
  readonly title: string;
  readonly failover: boolean;
  readonly view: ArmView;
  readonly clients: readonly { readonly name: ClientName; readonly summary: Summary }[];
  readonly restarts: { readonly app: number; readonly sidecar: number };
  readonly record: BypassRecord | undefined;
}

/** Sums the story up and writes its picture into out/ of the checkout. */
export function report(observer: Observer, story: Story): Report {
  const arms = ARMS.flatMap((arm): readonly ArmReport[] => {
    const view = observer.views[arm.namespace];
    if (view === undefined) return [];
    const clients = CLIENTS.map((name) => ({ name, summary: summarise(collect(view.results[name]), story.span) }));
    const record = parseBypassRecord(view.pods[0]?.metadata.annotations?.[BYPASS_RECORD]);
    return [{ ...arm, view, clients, restarts: restartsOf(view.pods), record }];
  });
  const table = outcomeTable(arms.flatMap(({ title, clients }) => clients.map(({ name, summary }) => ({ arm: title, client: name, summary }))));
  const lines = ['', table, '', ...arms.map((arm) => armLine(arm, story)), `Picture: ${writePicture(arms, story)}`];
  const guarded = arms.find(({ failover }) => failover);
  const broken =
    guarded &&
    brokenPromise({
      clients: guarded.clients,
      appRestarts: guarded.restarts.app,
      kills: Math.min(...Object.values(story.kills)),
      bypassed: guarded.record !== undefined,
      restored: guarded.record?.until !== undefined && guarded.view.pods[0]?.metadata.labels?.[TRAFFIC_LABEL] === 'meshed',
    });
  return { text: lines.join('\n'), broken };
}

function armLine({ title, namespace, restarts, record }: ArmReport, { kills, faultMs }: Story): string {
  const head = `${title}: sidecar killed ${times(kills[namespace] ?? 0)}, app ${restarts.app === 0 ? 'never restarted' : `restarted ${times(restarts.app)}`}.`;
  if (record === undefined) return head;
  const sinceMs = Date.parse(record.since);
  const [since, until] = [record.since, record.until].map((time) => time?.slice(11, 19));
  const reaction = durationText(Math.max(0, sinceMs - faultMs));
  const bypass = record.until === undefined ? `since ${since} UTC` : `for ${durationText(Date.parse(record.until) - sinceMs)} (${since} to ${until} UTC)`;
  return `${head}\n  Bypassed ${reaction} after the first kill, ${bypass}.`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/** The path of the picture, relative to the checkout. */
function writePicture(arms: readonly ArmReport[], story: Story): string {
  const picture = drawPicture({
    title: 'A sidecar that crashes over and over, then recovers',
    subtitle: `Two copies of one shop behind a Service, ${RATE} requests a second from each client; both sidecars meet the same fault.`,
    span: story.span,
    arms: arms.map((arm) => ({
      title: arm.title,
      marks: marksOf(arm, story),
      clients: arm.clients.map(({ name }) => ({ name, results: collect(arm.view.results[name]) })),
    })),
  });
  const folder = join(ROOT, 'out');
  mkdirSync(folder, { recursive: true });
  const time = new Date(story.span.fromMs).toISOString().slice(0, 19).replaceAll(':', '-');
  const file = join(folder, `demo-${time}.svg`);
  writeFileSync(file, picture);
  return relative(ROOT, file);
}

function marksOf({ view, record }: ArmReport, story: Story): readonly Mark[] {
  const ready = view.pods[0]?.status?.conditions?.find(({ type, status }) => type === 'Ready' && status === 'True')?.lastTransitionTime;
  const back = record === undefined ? { at: ready, label: 'ready again' } : { at: record.until, label: 'sidecar back in use' };
  return [
    { atMs: story.faultMs, label: 'kills begin' },
    { atMs: story.calmMs, label: 'kills end' },
    ...(back.at === undefined ? [] : [{ atMs: Date.parse(back.at), label: back.label }]),
  ];
}
