import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { patchPodStatus } from '../../../../src/adapters/kube/pod-status.ts';
import { ApiError, createKubeApi, type KubeApi } from '../../../../src/adapters/kube/transport.ts';
import { give, refuse, startApiServer, type Answer, type ApiServer } from '../../../support/api-server.ts';

const REF = { namespace: 'shop', name: 'api-1', uid: 'uid-1' };

let server: ApiServer;
let api: KubeApi;
beforeEach(async () => {
  server = await startApiServer();
  api = createKubeApi({ server: server.url });
});
afterEach(async () => {
  await api.close();
  await server.stop();
});

describe('patchPodStatus', () => {
  const gone: Readonly<Record<string, Answer>> = {
    'the pod is not there': refuse(404, 'NotFound', 'pods "api-1" not found'),
    'another pod has the name (409)': refuse(409, 'Conflict', 'Precondition failed: UID in precondition: uid-1, UID in object meta: uid-2'),
    'another pod has the name (422)': refuse(422, 'Invalid', 'Pod "api-1" is invalid: metadata.uid: Invalid value: "uid-1": field is immutable'),
  };
  test.each(Object.entries(gone))('gone: %s', async (_sentence, answer) => {
    server.next('write', answer);
    expect(await patchPodStatus(api, REF, { labels: { a: 'b' } })).toBe('gone');
  });

  const errors: Readonly<Record<string, { answer: Answer; want: { status: number; retryable: boolean } }>> = {
    'a path that is not served is no missing pod': {
      answer: (_request, response) => response.writeHead(404).end('404 page not found'),
      want: { status: 404, retryable: false },
    },
    'a conflict about something else': { answer: refuse(409, 'Conflict', 'the object has been modified'), want: { status: 409, retryable: true } },
    'a value that is not allowed': { answer: refuse(422, 'Invalid', 'metadata.labels: Invalid value'), want: { status: 422, retryable: false } },
    'an overloaded server': { answer: refuse(503, '', ''), want: { status: 503, retryable: true } },
  };
  test.each(Object.entries(errors))('throws: %s', async (_sentence, { answer, want }) => {
    server.next('write', answer);
    const error: unknown = await patchPodStatus(api, REF, {}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject(want);
  });

  test('is one strategic merge patch of the status subresource with the UID as precondition', async () => {
    server.next('write', give({ metadata: { name: 'api-1' } }));
    const condition = { type: 'hot-switch.io/Bypassed', status: 'True', reason: 'ProxyBypassed', message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' };
    const pod = await patchPodStatus(api, REF, { labels: { a: 'b', c: null }, annotations: { d: 'e' }, conditions: [condition] });
    expect(pod).toEqual({ metadata: { name: 'api-1' } });
    expect(server.seen.map(({ method, path, query, headers, body }) => [method, path, query.toString(), headers['content-type'], JSON.parse(body)])).toEqual([
      [
        'PATCH',
        '/api/v1/namespaces/shop/pods/api-1/status',
        'fieldManager=hot-switch',
        'application/strategic-merge-patch+json',
        { metadata: { uid: 'uid-1', labels: { a: 'b', c: null }, annotations: { d: 'e' } }, status: { conditions: [condition] } },
      ],
    ]);
  });

  test('leaves out what is not given', async () => {
    await patchPodStatus(api, REF, { annotations: { d: null } });
    expect(JSON.parse(server.seen[0]?.body ?? '')).toEqual({ metadata: { uid: 'uid-1', annotations: { d: null } } });
  });
});
