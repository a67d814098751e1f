import { afterEach, expect, test } from '@jest/globals';
import { startHealthServer } from '../../../src/runtime/health-server.ts';
import type { HealthServer } from '../../../src/runtime/health-server.ts';

let server: HealthServer | undefined;
afterEach(async () => server?.stop());

const rows: Record<string, { method?: string; path: string; notReady?: string; want: readonly [status: number, text: string] }> = {
  'alive though not ready': { path: '/healthz', notReady: 'starting', want: [200, 'ok\n'] },
  'not ready, and why': { path: '/readyz?verbose', notReady: 'starting', want: [503, 'starting\n'] },
  ready: { path: '/readyz', want: [200, 'ok\n'] },
  'another path': { path: '/', want: [404, 'not found; there are /healthz and /readyz\n'] },
  'another method': { method: 'POST', path: '/healthz', want: [405, 'only GET\n'] },
};
test.each(Object.entries(rows))('%s', async (_what, { method = 'GET', path, notReady, want }) => {
  server = await startHealthServer({ host: '127.0.0.1', port: 0, notReady: () => notReady });
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  expect([answer.status, await answer.text()]).toEqual(want);
});

test('a port that is taken is told', async () => {
  server = await startHealthServer({ host: '127.0.0.1', port: 0, notReady: () => undefined });
  await expect(startHealthServer({ host: '127.0.0.1', port: server.port, notReady: () => undefined })).rejects.toThrow('EADDRINUSE');
});
