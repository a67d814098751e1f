import { CONDITION_TYPES, TRAFFIC_LABEL } from '../../src/api/keys.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { foldColumns } from './fold.ts';
import type { Screen } from './screen.ts';
import { ARMS, SHOP } from './shops.ts';
import type { Moment } from './story.ts';

/** What it means, for a reader who sees it for the first time. */
const HEADINGS: Readonly<Record<Moment, string>> = {
  healthy: 'Both healthy',
  'after the first crash': 'A few seconds after the first crash',
  'end of the fault': 'Still crashing',
  recovered: 'Afterwards',
};

/** Shows what the real kubectl says at a moment of the story, folded to `columns`. */
export async function showMoment(cluster: Cluster, screen: Screen, moment: Moment, columns: number): Promise<void> {
  const say = (args: readonly string[], output: string): void =>
    screen.note(`\n$ kubectl ${args.join(' ')}\n${foldColumns(output.trimEnd() || '(nothing)', columns)}`);
  const commands = ARMS.map(({ namespace }) => ['get', 'pods', '-n', namespace, '-o', 'wide', '-L', TRAFFIC_LABEL]);
  if (moment === 'end of the fault') commands.push(['get', 'endpointslices', '-n', 'shop-with']);
  const outputs = await Promise.all(commands.map((args) => outputOf(cluster, args)));
  screen.note(`\n== ${HEADINGS[moment]} ==`);
  for (const [index, args] of commands.entries()) say(args, outputs[index] ?? '');
  if (moment === 'after the first crash') screen.note(`\n${await explanation(cluster)}`);
}

/** What hot-switch itself says about the bypassed pod: its Event, and its conditions. */
async function explanation(cluster: Cluster): Promise<string> {
  const path = '{range .items[0].status.conditions[*]}{.type}={.status} {.reason}{"\\n"}{end}';
  const [events, conditions] = await Promise.all([
    outputOf(cluster, [
      'get',
      'events',
      '-n',
      'shop-with',
      '--field-selector',
      'reason=ProxyBypassed',
      '-o',
      'custom-columns=R:.reason,M:.message',
      '--no-headers',
    ]),
    outputOf(cluster, ['get', 'pods', '-n', 'shop-with', '-l', `app=${SHOP}`, '-o', `jsonpath=${path}`]),
  ]);
  const ours = conditions.split('\n').filter((line) => CONDITION_TYPES.some((type) => line.startsWith(type)));
  return ['What hot-switch says about the pod in shop-with:', ...events.trim().split('\n'), ...ours].join('\n');
}

async function outputOf(cluster: Cluster, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await cluster.tryKubectl(...args);
  return stdout || stderr;
}
