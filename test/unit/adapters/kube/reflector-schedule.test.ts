import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createReflector } from '../../../../src/adapters/kube/reflector.ts';
import { createKubeApi } from '../../../../src/adapters/kube/transport.ts';
import { stall, refuse, reset, startApiServer, type ApiServer, type StoredObject, type WatchFault } from '../../../support/api-server.ts';
import { captureLog } from '../../../support/captured-log.ts';
import { eventually, sleep } from '../../../support/eventually.ts';
import { FAST_PACE } from '../../../support/fast-pace.ts';

type Step = { readonly say: string; readonly run: (server: ApiServer) => Promise<void> | void };

const name = fc.constantFrom('a', 'b', 'c', 'd');
const value = fc.integer({ min: 0, max: 9 });
const watchFault = fc.constantFrom<WatchFault>(
  'reset',
  'end',
  'silence',
  'truncated line',
  'bad JSON',
  'no object',
  'ERROR 410',
  'ERROR 500',
  'ERROR 429',
  'repetition',
  'huge line',
);
const refusals = {
  reset,
  stall,
  410: refuse(410, 'Expired', ''),
  429: refuse(429, '', ''),
  500: refuse(500, '', ''),
  503: refuse(503, '', ''),
  504: refuse(504, 'Timeout', ''),
};
const refusal = fc.constantFrom(...(Object.keys(refusals) as (keyof typeof refusals)[]));

const put = fc.tuple(name, value).map(([of, to]): Step => ({ say: `put ${of} ${to}`, run: (server) => server.put(of, to) }));
const recreate = fc.tuple(name, value).map(([of, to]): Step => ({ say: `recreate ${of} ${to}`, run: (server) => server.recreate(of, to) }));
const remove = name.map((of): Step => ({ say: `remove ${of}`, run: (server) => server.remove(of) }));
const harm = watchFault.map((fault): Step => ({ say: `watch: ${fault}`, run: (server) => server.harm(fault) }));
const refuseNext = fc
  .tuple(fc.constantFrom('list' as const, 'watch' as const), refusal)
  .map(([kind, how]): Step => ({ say: `next ${kind}: ${how}`, run: (server) => server.next(kind, refusals[how]) }));
const wait = fc.integer({ min: 0, max: 6 }).map((ms): Step => ({ say: `${ms} ms`, run: () => sleep(ms) }));
const other = fc.constantFrom<Step>(
  { say: 'compact', run: (server) => server.compact() },
  { say: 'bookmark', run: (server) => server.bookmark() },
  { say: 'gone in the stream', run: (server) => void (server.goneInStream = true) },
  { say: 'gone by status', run: (server) => void (server.goneInStream = false) },
  { say: 'server down', run: (server) => server.stop() },
  { say: 'server up', run: (server) => server.start() },
);
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: put },
    { weight: 2, arbitrary: remove },
    { weight: 1, arbitrary: recreate },
    { weight: 3, arbitrary: harm },
    { weight: 2, arbitrary: refuseNext },
    { weight: 4, arbitrary: wait },
    { weight: 2, arbitrary: other },
  ),
  { minLength: 10, maxLength: 40 },
);
const schedule = fc.noShrink(steps);

/** Fixed, so that a failure is the same everywhere; SCHEDULE_SEED and SCHEDULE_RUNS look further. */
const SEED = Number(process.env['SCHEDULE_SEED'] ?? 20_260_101);
const RUNS = Number(process.env['SCHEDULE_RUNS'] ?? 25);

test('after any schedule of changes and faults, once the server is well, the store and all reports equal the server', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async (all) => {
      const server = await startApiServer();
      const api = createKubeApi({ server: server.url }, { maxLineBytes: 10_000 });
      const reported = new Map<string, string>();
      const wrong: string[] = [];
      const reflector = createReflector<string>({
        api,
        path: '/api/v1/pods',
        project: (raw) => {
          const { metadata, value: kept } = raw as unknown as StoredObject;
          return `${metadata.uid} ${kept}`;
        },
        onChange: (key, now, before) => {
          if (reported.get(key) !== before) wrong.push(`${key}: before is ${before}, reported was ${reported.get(key)}`);
          if (now === undefined) reported.delete(key);
          else reported.set(key, now);
        },
        log: captureLog().log,
        silenceMs: 25,
        pace: FAST_PACE,
      });
      reflector.start();
      for (const step of all) await step.run(server);
      server.heal();
      await server.start();
      const there = () => [...server.objects].map(([key, one]) => `${key} ${one.metadata.uid} ${one.value}`).sort();
      const here = (of: Iterable<[string, string]>) => [...of].map(([key, one]) => `${key} ${one}`).sort();
      await eventually('the store has what the server has', () => JSON.stringify(here(reflector.entries())) === JSON.stringify(there())).catch(() => {});
      const got = { store: here(reflector.entries()), reports: here(reported), wrong };
      await reflector.stop();
      await api.close();
      await server.stop();
      expect(got).toEqual({ store: there(), reports: there(), wrong: [] });
    }),
    { seed: SEED, numRuns: RUNS, reporter: explain },
  );
}, 300_000);

function explain(details: fc.RunDetails<[Step[]]>): void {
  if (!details.failed) return;
  const said = details.counterexample?.[0].map((step) => step.say).join('; ');
  throw new Error(`seed ${details.seed}: ${said}`, { cause: details.errorInstance });
}
