import { CONDITION_TYPES, TRAFFIC_LABEL } from '../../src/api/keys.ts';
import { REASONS } from '../../src/api/reasons.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { foldColumns } from './fold.ts';
import { wrap } from './render.ts';
import type { Screen } from './screen.ts';
import { ARMS, SHOP } from './shops.ts';
import type { Moment } from './story.ts';

/** What it means, for a reader who sees it for the first time. */
const HEADINGS: Readonly<Record<Moment, string>> = {
  healthy: 'Both shops are healthy',
  'after the first crash': 'Seconds after the first crash',
  'end of the fault': 'The sidecars have crashed for 45 s',
  recovered: 'After the recovery',
};

/** Shows what the real kubectl says at a moment of the story, in `columns`. */
export async function showMoment(cluster: Cluster, screen: Screen, moment: Moment, columns: number): Promise<void> {
  const commands = ARMS.map(({ namespace }) => ['get', 'pods', '-n', namespace, '-l', `app=${SHOP}`, '-o', 'wide', '-L', TRAFFIC_LABEL]);
  const [outputs, explained] = await Promise.all([
    Promise.all(commands.map((args) => outputOf(cluster, args))),
    moment === 'after the first crash' || moment === 'recovered' ? explanation(cluster, columns) : [],
  ]);
  const shown = commands.flatMap((args, index) => [...wrap(`$ kubectl ${args.join(' ')}`, columns, 4), foldColumns(outputs[index] ?? '', columns), '']);
  screen.note(['', `--- ${HEADINGS[moment]} ---`, '', ...shown, ...explained].join('\n'));
}

/** What hot-switch itself says about the pod: its Events, and its conditions. */
async function explanation(cluster: Cluster, columns: number): Promise<readonly string[]> {
  const path = '{range .items[0].status.conditions[*]}{.type}={.status} ({.reason}){"\\n"}{end}';
  const [events, conditions] = await Promise.all([
    outputOf(cluster, ['get', 'events', '-n', 'shop-with', '--sort-by=.lastTimestamp', '-o', 'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}']),
    outputOf(cluster, ['get', 'pods', '-n', 'shop-with', '-l', `app=${SHOP}`, '-o', `jsonpath=${path}`]),
  ]);
  const starting = (text: string, words: readonly string[]): readonly string[] =>
    text.split('\n').filter((line) => words.some((word) => line.startsWith(word)));
  const lines = [
    ...starting(conditions, CONDITION_TYPES).map((line) => `condition ${line}`),
    ...starting(
      events,
      Object.keys(REASONS).map((reason) => `${reason}:`),
    ).map((line) => `event ${line}`),
  ];
  return ['What hot-switch wrote about it (conditions of the pod, Events):', ...lines.flatMap((line) => wrap(`  ${line}`, columns, 6)), ''];
}

async function outputOf(cluster: Cluster, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await cluster.tryKubectl(...args);
  return (stdout || stderr).trimEnd() || '(nothing)';
}
