import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createReflector, type KubeObject, type Reflector, type ReflectorOptions } from '../../../../src/adapters/kube/reflector.ts';
import { createKubeApi, type KubeApi } from '../../../../src/adapters/kube/transport.ts';
import { give, ignore, refuse, reset, startApiServer, type ApiServer, type StoredObject, type WatchFault } from '../../../support/api-server.ts';
import { captureLog, type CapturedLog } from '../../../support/captured-log.ts';
import { eventually, sleep } from '../../../support/eventually.ts';
import { FAST_PACE } from '../../../support/fast-pace.ts';

interface Kept {
  readonly uid: string;
  readonly value: number;
}

let server: ApiServer;
let api: KubeApi;
let captured: CapturedLog;
let reflector: Reflector<Kept>;
/** `key now before` of each report. */
let reports: string[];

beforeEach(async () => {
  server = await startApiServer();
  api = createKubeApi({ server: server.url }, { maxBodyBytes: 80_000, maxLineBytes: 10_000 });
  captured = captureLog();
  reports = [];
});
afterEach(async () => {
  await reflector.stop();
  await api.close();
  await server.stop();
});

function project(raw: KubeObject): Kept {
  const { metadata, value } = raw as unknown as StoredObject;
  return { uid: metadata.uid, value };
}

function create(options: Partial<ReflectorOptions<Kept>> = {}): Reflector<Kept> {
  reflector = createReflector<Kept>({
    api,
    path: '/api/v1/pods',
    project,
    onChange: (key, now, before) => reports.push(`${key} ${now?.value ?? '-'} ${before?.value ?? '-'}`),
    log: captured.log,
    silenceMs: 60,
    pace: FAST_PACE,
    ...options,
  });
  return reflector;
}

async function createSynced(options: Partial<ReflectorOptions<Kept>> = {}): Promise<void> {
  create(options).start();
  await reflector.whenSynced();
  await eventually('an open watch', () => server.openWatches === 1);
}

function here(): Record<string, Kept> {
  return Object.fromEntries([...reflector.entries()].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function there(): Record<string, Kept> {
  const kept = [...server.objects].map(([key, { metadata, value }]) => [key, { uid: metadata.uid, value }] as const);
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function expectSame(): Promise<void> {
  await eventually('the store has what the server has', () => JSON.stringify(here()) === JSON.stringify(there())).catch(() => {});
  expect(here()).toEqual(there());
}

/** Changes of every sort, so that what was missed shows. */
function change(): void {
  server.put('changed', 2);
  server.remove('removed');
  server.recreate('recreated', 2);
  server.put('added', 2);
}

describe('a reflector heals', () => {
  const faults: Readonly<Record<WatchFault, true>> = {
    reset: true,
    end: true,
    silence: true,
    'truncated line': true,
    'bad JSON': true,
    'no object': true,
    'ERROR 410': true,
    'ERROR 500': true,
    'ERROR 429': true,
    repetition: true,
    'huge line': true,
  };
  const troubles: Readonly<Record<string, () => Promise<void> | void>> = {
    ...Object.fromEntries(Object.keys(faults).map((fault) => [`an open watch: ${fault}`, () => server.harm(fault as WatchFault)])),
    'the place in the history is gone, HTTP 410': () => {
      server.harm('reset');
      change();
      server.compact();
    },
    'the place in the history is gone, in the stream': () => {
      server.goneInStream = true;
      server.harm('reset');
      change();
      server.compact();
    },
    'the watch is refused: 429, 503, 500, 403, 401 in a row': () => {
      server.next('watch', refuse(429, 'TooManyRequests', ''), refuse(503, '', ''), refuse(500, '', ''), refuse(403, 'Forbidden', ''), refuse(401, '', ''));
      server.harm('reset');
    },
    'the watch is not understood: 400': () => {
      server.next('watch', refuse(400, 'BadRequest', 'invalid resource version'));
      server.harm('end');
    },
    'the list is refused as well': () => {
      server.next('list', refuse(429, 'TooManyRequests', ''), refuse(503, '', ''), reset, reset, give({ items: null }), give([]));
      server.harm('bad JSON');
    },
    'the list has an item without a name': () => {
      server.next('list', give({ metadata: { resourceVersion: '999' }, items: [{}] }));
      server.harm('ERROR 500');
    },
    'the version is from the future after a restore of the API server: 504': () => {
      server.next('list', refuse(504, 'Timeout', 'Too large resource version'));
      server.harm('ERROR 410');
    },
    'the API server restarts on the same port': async () => {
      await server.stop();
      await sleep(15);
      await server.start();
    },
    'the API server restarts, and its history begins anew': async () => {
      await server.stop();
      change();
      server.compact();
      await sleep(15);
      await server.start();
    },
  };

  test.each(Object.entries(troubles))('%s', async (_sentence, trouble) => {
    for (const name of ['changed', 'removed', 'recreated', 'kept']) server.put(name, 1);
    await createSynced();
    await trouble();
    change();
    await expectSame();
    server.put('kept', 3);
    await expectSame();
    // What was reported adds up to what there is.
    const reported = new Map(reports.map((report) => report.split(' ') as [string, string]));
    for (const [key, value] of reported) expect(value).toBe(String(server.objects.get(key)?.value ?? '-'));
  });

  test('a first list that fails is tried again', async () => {
    server.put('a', 1);
    server.next('list', refuse(503, '', ''), reset, reset, refuse(500, '', ''));
    await createSynced();
    expect(here()).toEqual(there());
  });

  test('an API server that is not there yet is waited for', async () => {
    await server.stop();
    create().start();
    await sleep(20);
    expect({ synced: reflector.synced, contact: reflector.lastContactMs, size: reflector.size }).toEqual({ synced: false, contact: undefined, size: 0 });
    await server.start();
    server.put('a', 1);
    await reflector.whenSynced();
    await expectSame();
  });

  test('a list too large in one piece is fetched in pages, now and later', async () => {
    for (let n = 0; n < 1_200; n += 1) server.put(`pod-${n}`, n);
    await createSynced();
    await expectSame();
    server.harm('bad JSON');
    server.put('added', 1);
    await expectSame();
    const lists = server.seen.filter((request) => !request.query.has('watch')).map((request) => [...request.query.keys()].sort().join(' '));
    expect(lists).toEqual(['limit resourceVersion', 'limit', 'continue limit', 'continue limit', 'limit', 'continue limit', 'continue limit']);
  });

  test('a server that pages every list is followed through its pages', async () => {
    server.pagesAlways = true;
    for (let n = 0; n < 700; n += 1) server.put(`pod-${n}`, n);
    await createSynced();
    expect(here()).toEqual(there());
    expect(server.seen.filter((request) => !request.query.has('watch')).length).toBe(2);
  });

  test('a page token that expired starts the list anew', async () => {
    for (let n = 0; n < 700; n += 1) server.put(`pod-${n}`, n);
    server.next('list', refuse(504, 'Timeout', ''), (_request, response) => {
      const items = [...server.objects.values()].slice(0, 500);
      response.end(JSON.stringify({ metadata: { resourceVersion: String(server.version), continue: 'lost' }, items }));
      server.remove('pod-3');
    });
    await createSynced();
    await expectSame();
    expect(reports.filter((report) => report.startsWith('shop/pod-3 '))).toEqual([]);
  });

  test('a Retry-After is obeyed', async () => {
    await createSynced();
    server.next('watch', refuse(429, 'TooManyRequests', 'slow down', { 'retry-after': '1' }));
    server.harm('reset');
    await eventually('the refusal', () => server.seen.filter((request) => request.query.has('watch')).length === 2);
    const refusedMs = performance.now();
    await eventually('the next try', () => server.openWatches === 1);
    expect(performance.now() - refusedMs).toBeGreaterThan(950);
  });

  test('silence where nothing changes is no trouble to tell of', async () => {
    await createSynced({ silenceMs: 10 });
    await eventually('some silences', () => server.seen.length > 5);
    expect(captured.lines.filter((line) => line['level'] !== 'debug').map((line) => line['message'])).toEqual(['synced']);
  });

  test('an outage is one warning and one end of it', async () => {
    await createSynced();
    await server.stop();
    await sleep(40);
    await server.start();
    await eventually('the end of it', () => captured.lines.some((line) => line['message'] === 'watch is back'));
    const loud = captured.lines.filter((line) => line['level'] !== 'debug').map((line) => `${String(line['level'])} ${String(line['message'])}`);
    expect(loud).toEqual(['info synced', 'warn watch failed, will go on', 'info watch is back']);
  });
});

describe('a consumer that throws', () => {
  test('from project: the object comes back later, and the others are not held up', async () => {
    let broken = true;
    server.put('poison', 1);
    await createSynced({
      project: (raw) => {
        if (broken && raw.metadata.name === 'poison') throw new Error('bug in project');
        return project(raw);
      },
    });
    server.put('poison', 2);
    server.put('fine', 1);
    await eventually('the other one', () => reflector.get('shop/fine') !== undefined);
    expect({ poison: reflector.get('shop/poison'), watches: server.openWatches }).toEqual({ poison: undefined, watches: 1 });
    broken = false;
    await expectSame();
    expect(reports).toEqual(['shop/fine 1 -', 'shop/poison 2 -']);
    expect(captured.lines.find((line) => line['level'] === 'error')).toMatchObject({ key: 'shop/poison', error: 'bug in project' });
  });

  test('from project, over a relist and a deletion: what was known stays until then, and nothing stale after', async () => {
    let broken = false;
    for (const name of ['changed', 'removed']) server.put(name, 1);
    await createSynced({
      project: (raw) => {
        if (broken) throw new Error('bug in project');
        return project(raw);
      },
      pace: { ...FAST_PACE, backoff: { minMs: 30, maxMs: 30, factor: 1, jitter: 0 } },
    });
    broken = true;
    server.harm('bad JSON');
    change();
    await eventually('the next watch', () => server.seen.length >= 4 && server.openWatches === 1);
    expect(reflector.get('shop/changed')?.value).toBe(1);
    server.remove('added');
    await sleep(10);
    broken = false;
    await sleep(60);
    expect(here()).toEqual(there());
  });

  test('from project, for an object that is deleted during an outage: it does not come back', async () => {
    let broken = true;
    await createSynced({
      project: (raw) => {
        if (broken && raw.metadata.name === 'poison') throw new Error('bug in project');
        return project(raw);
      },
      pace: { ...FAST_PACE, backoff: { minMs: 30, maxMs: 30, factor: 1, jitter: 0 } },
    });
    server.put('poison', 1);
    await eventually('the throw', () => captured.lines.some((line) => line['key'] === 'shop/poison'));
    await server.stop();
    server.remove('poison');
    server.compact();
    server.put('fine', 1);
    await server.start();
    await eventually('the list', () => reflector.size > 0);
    broken = false;
    await sleep(60);
    expect(here()).toEqual(there());
  });

  test('from onChange: the store is right at once, and the report comes again', async () => {
    let broken = true;
    server.put('a', 1);
    await createSynced({
      onChange: (key, now, before) => {
        if (broken && key === 'shop/a') throw new Error('bug in onChange');
        reports.push(`${key} ${now?.value ?? '-'} ${before?.value ?? '-'}`);
      },
    });
    server.put('a', 2);
    server.put('b', 1);
    await expectSame();
    expect(reports).toEqual(['shop/b 1 -']);
    broken = false;
    await eventually('the report', () => reports.length === 2);
    expect(reports).toEqual(['shop/b 1 -', 'shop/a 2 -']);
    broken = true;
    server.put('a', 3);
    server.put('a', 4);
    await expectSame();
    broken = false;
    await eventually('the report', () => reports.length === 3);
    expect(reports[2]).toBe('shop/a 4 2');
  });

  test('from onChange for an object that is gone before it was ever heard of: silence', async () => {
    let broken = true;
    await createSynced({
      onChange: (key, now, before) => {
        if (broken) throw new Error('bug in onChange');
        reports.push(`${key} ${now?.value ?? '-'} ${before?.value ?? '-'}`);
      },
    });
    server.put('a', 1);
    server.remove('a');
    server.put('b', 1);
    await eventually('the last one', () => reflector.get('shop/b') !== undefined);
    broken = false;
    await eventually('the report', () => reports.length === 1);
    await sleep(10);
    expect(reports).toEqual(['shop/b 1 -']);
  });
});

describe('stop()', () => {
  test('before start: nothing ever happens', async () => {
    create();
    await reflector.stop();
    reflector.start();
    await sleep(10);
    expect(server.seen).toEqual([]);
  });

  const moments: Readonly<Record<string, () => Promise<void>>> = {
    'during the first list': async () => {
      server.next('list', ignore);
      create().start();
      await eventually('the list', () => server.seen.length === 1);
    },
    'while the watch is being opened': async () => {
      server.next('watch', ignore);
      create().start();
      await eventually('the watch', () => server.seen.length === 2);
    },
    'while nobody answers': async () => {
      await server.stop();
      create().start();
      await sleep(10);
    },
    'during a wait': async () => {
      server.next('list', refuse(429, '', '', { 'retry-after': '100' }));
      create().start();
      await eventually('the list', () => server.seen.length === 1);
      await sleep(5);
    },
    'with an open watch': () => createSynced(),
  };
  test.each(Object.entries(moments))('%s: ends at once, and nothing is reported after it', async (_sentence, moment) => {
    await moment();
    const startMs = performance.now();
    await reflector.stop();
    expect(performance.now() - startMs).toBeLessThan(500);
    const requests = server.seen.length;
    server.put('late', 1);
    await sleep(15);
    expect({ reports, requests: server.seen.length }).toEqual({ reports: [], requests });
    await eventually('no watch is left', () => server.openWatches === 0);
  });

  test('from inside onChange: the rest of the list is not reported', async () => {
    for (let n = 0; n < 5; n += 1) server.put(`pod-${n}`, n);
    create({
      onChange: (key) => {
        reports.push(key);
        void reflector.stop();
      },
    }).start();
    await eventually('the first report', () => reports.length > 0);
    await reflector.stop();
    expect(reports).toEqual(['shop/pod-0']);
  });

  test('ends whoever waits for the first list', async () => {
    server.next('list', ignore);
    create().start();
    const waiting = reflector.whenSynced();
    const aborted = reflector.whenSynced(AbortSignal.timeout(5));
    await expect(aborted).rejects.toThrow('/api/v1/pods was not listed: aborted');
    await Promise.all([reflector.stop(), expect(waiting).rejects.toThrow('/api/v1/pods was not listed: stopped')]);
  });
});

describe('what it asks for', () => {
  test('the first list comes from the cache; the watch has bookmarks, an end, and the selectors', async () => {
    await createSynced({ labelSelector: 'a=b', fieldSelector: 'spec.nodeName=one', random: () => 0.5 });
    const [listed, watched] = server.seen.map((request) => Object.fromEntries(request.query));
    expect(listed).toEqual({ labelSelector: 'a=b', fieldSelector: 'spec.nodeName=one', limit: '500', resourceVersion: '0' });
    expect(watched).toEqual({
      labelSelector: 'a=b',
      fieldSelector: 'spec.nodeName=one',
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '100',
      timeoutSeconds: '450',
    });
  });

  test('a bookmark moves the place from which a broken watch goes on', async () => {
    await createSynced();
    server.compact();
    const before = reflector.lastContactMs;
    server.bookmark();
    await eventually('the bookmark', () => reflector.lastContactMs !== before);
    server.harm('reset');
    await eventually('the next watch', () => server.seen.length === 3 && server.openWatches === 1);
    expect(server.seen[2]?.query.get('resourceVersion')).toBe('101');
  });

  test('a relist asks for nothing older than what it knows, not for etcd', async () => {
    await createSynced();
    server.put('a', 1);
    await expectSame();
    server.harm('ERROR 410');
    await eventually('the next watch', () => server.seen.length === 4 && server.openWatches === 1);
    expect(Object.fromEntries(server.seen[2]?.query ?? [])).toEqual({ resourceVersion: '101', resourceVersionMatch: 'NotOlderThan' });
  });
});

describe('after a watch broke', () => {
  const next: Readonly<Record<WatchFault, 'watch' | 'list'>> = {
    reset: 'watch',
    end: 'watch',
    silence: 'watch',
    'truncated line': 'watch',
    repetition: 'watch',
    'bad JSON': 'list',
    'no object': 'list',
    'ERROR 410': 'list',
    'ERROR 500': 'list',
    'ERROR 429': 'list',
    'huge line': 'list',
  };
  test.each(Object.entries(next))('%s: a %s comes next', async (fault, want) => {
    await createSynced();
    server.harm(fault as WatchFault);
    if (fault === 'repetition') server.harm('end');
    await eventually('the next request', () => server.seen.length >= 3);
    expect(server.seen[2]?.query.has('watch') === true ? 'watch' : 'list').toBe(want);
  });
});

describe('what it reports', () => {
  test('what vanished during an outage, and what came under the same name', async () => {
    for (const name of ['changed', 'removed', 'recreated', 'kept']) server.put(name, 1);
    await createSynced();
    reports.length = 0;
    await server.stop();
    change();
    server.compact();
    await server.start();
    await expectSame();
    expect(reports.sort()).toEqual(['shop/added 2 -', 'shop/changed 2 1', 'shop/recreated 2 1', 'shop/removed - 1']);
  });

  test('repeated and old events change nothing and are not reported', async () => {
    await createSynced();
    server.put('a', 1);
    server.put('a', 2);
    server.remove('a');
    server.put('b', 1);
    await expectSame();
    server.harm('repetition');
    server.put('b', 2);
    await expectSame();
    expect(reports).toEqual(['shop/a 1 -', 'shop/a 2 1', 'shop/a - 2', 'shop/b 1 -', 'shop/b 2 1']);
  });

  test('an object that is no longer kept as gone, and one that never was not at all', async () => {
    await createSynced({ project: (raw) => (project(raw).value > 0 ? project(raw) : undefined) });
    for (const value of [1, 0, -1, 2]) server.put('a', value);
    server.put('b', 0);
    server.remove('b');
    await eventually('the last one', () => reports.length === 3);
    expect(reports).toEqual(['shop/a 1 -', 'shop/a - 1', 'shop/a 2 -']);
    expect(reflector.size).toBe(1);
  });
});
