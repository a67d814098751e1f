import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'node:tls';
import { CONTROLLER_USER, EFFECTIVE_POLICY, TRAFFIC_LABEL, TRAFFIC_READY } from '../../../src/api/keys.ts';
import { ENDPOINT_SLICE_CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from '../../../src/api/kubernetes.ts';
import type { EndpointFacts } from '../../../src/core/endpoint-facts.ts';
import { applyPatch } from '../../support/json-patch.ts';
import { meshedPod } from '../../support/meshed-pod.ts';
import { CERTIFICATES, NO_FACTS, reviewOf, startWebhook } from '../../support/webhook-server.ts';
import type { WebhookUnderTest } from '../../support/webhook-server.ts';

const POD = { group: '', version: 'v1', kind: 'Pod' };
const NAMESPACE = { group: '', version: 'v1', kind: 'Namespace' };
const SLICE = { group: 'discovery.k8s.io', version: 'v1', kind: 'EndpointSlice' };
const podReview = reviewOf({ kind: POD, object: meshedPod() });

let webhook: WebhookUnderTest;
let broken: Error | undefined;
let notReady: string | undefined;
let facts: EndpointFacts = NO_FACTS;

beforeAll(async () => {
  webhook = await startWebhook(
    {
      namespaceAnnotations: (name) => {
        if (broken !== undefined) throw broken;
        return name === 'demo' ? { 'hot-switch.io/mode': 'observe' } : undefined;
      },
      endpointFacts: () => facts,
      notReady: () => notReady,
    },
    { bodyBytes: 200_000, timeoutMs: 300 },
  );
});
afterAll(() => webhook.stop());
afterEach(() => {
  broken = undefined;
  notReady = undefined;
  facts = NO_FACTS;
});

describe('a request that is refused', () => {
  const review = (change: Record<string, unknown>): string => JSON.stringify({ ...(JSON.parse(podReview) as object), ...change });
  const nested = `{"a":${'['.repeat(300)}${']'.repeat(300)}}`;
  const cases: Record<
    string,
    { path?: string; body?: string | Buffer; method?: string; headers?: Record<string, string>; want: number; message: string | RegExp }
  > = {
    'an unknown path': { path: '/mutate', body: podReview, want: 404, message: 'there is nothing at this path' },
    'a path with another case': { path: '/Mutate/Pods', body: podReview, want: 404, message: 'there is nothing at this path' },
    'a path that does not decode': { path: '/%E0%A4%A', body: podReview, want: 404, message: 'there is nothing at this path' },
    'GET for an admission path': { want: 405, message: 'the method must be POST' },
    'PUT for an admission path': { method: 'PUT', body: podReview, want: 405, message: 'the method must be POST' },
    'POST for a probe': { path: '/healthz', body: '{}', want: 405, message: 'the method must be GET, HEAD' },
    'another content type': { headers: { 'content-type': 'text/plain' }, body: podReview, want: 415, message: 'the content type must be application/json' },
    'a compressed body': { headers: { 'content-encoding': 'gzip' }, body: podReview, want: 415, message: 'the body must not be compressed' },
    'a body that is too large': { body: `"${'x'.repeat(300_000)}"`, want: 413, message: 'the body is larger than 200000 bytes' },
    'a body that is far too large': { body: `"${'x'.repeat(2_000_000)}"`, want: 413, message: 'the body is larger than 200000 bytes' },
    'an empty body': { body: '', method: 'POST', want: 400, message: 'the body is empty; an AdmissionReview is expected' },
    'broken JSON': { body: '{"kind":', want: 400, message: 'the body is not JSON' },
    'bytes that are not UTF-8': { body: Buffer.from([0x22, 0xff, 0xfe, 0x22]), want: 400, message: 'the body is not UTF-8' },
    'absurd nesting': { body: nested, want: 400, message: 'the body nests deeper than 200 levels' },
    'absurd nesting that never closes': { body: '['.repeat(199_000), want: 400, message: 'the body nests deeper than 200 levels' },
    'a list': { body: '[]', want: 400, message: /^the body: .*AdmissionReview of admission\.k8s\.io\/v1 is expected$/ },
    null: { body: 'null', want: 400, message: /^the body: / },
    'another kind': { body: review({ kind: 'Pod' }), want: 400, message: /^kind: / },
    'the version v1beta1': { body: review({ apiVersion: 'admission.k8s.io/v1beta1' }), want: 400, message: /^apiVersion: / },
    'no request': { body: review({ request: undefined }), want: 400, message: /^request: / },
    'no uid': { body: reviewOf({ uid: undefined, kind: POD, object: meshedPod() }), want: 400, message: /^request\.uid: / },
    'an empty uid': { body: reviewOf({ uid: '', kind: POD, object: meshedPod() }), want: 400, message: /^request\.uid: / },
    'a kind that this path does not serve': {
      body: reviewOf({ kind: NAMESPACE, object: {} }),
      want: 400,
      message: 'request.kind: this path serves v1 Pod only',
    },
    'a subresource': {
      body: reviewOf({ kind: POD, subResource: 'status', object: meshedPod() }),
      want: 400,
      message: 'request.subResource: subresources are not served',
    },
    'no object': { body: reviewOf({ kind: POD }), want: 400, message: 'request.object must be an object' },
    'an object without metadata': { body: reviewOf({ kind: POD, object: { spec: {} } }), want: 400, message: 'request.object.metadata must be an object' },
    'annotations with numbers': {
      body: reviewOf({ kind: POD, object: { metadata: { annotations: { a: 1 } }, spec: {} } }),
      want: 400,
      message: 'request.object.metadata.annotations must be a map of strings',
    },
    'containers that are a map': {
      body: reviewOf({ kind: POD, object: { metadata: {}, spec: { containers: {} } } }),
      want: 400,
      message: 'request.object.spec.containers must be a list',
    },
    'a container that is null': {
      body: reviewOf({ kind: POD, object: { metadata: {}, spec: { containers: [null] } } }),
      want: 400,
      message: 'request.object.spec.containers[0] must be an object',
    },
    'a gate without a type': {
      body: reviewOf({ kind: POD, object: { metadata: {}, spec: { readinessGates: [{}] } } }),
      want: 400,
      message: 'request.object.spec.readinessGates[0].conditionType must be a string',
    },
    'an endpoint whose ready is a text': {
      path: '/mutate/endpointslices',
      body: reviewOf({ kind: SLICE, object: { metadata: {}, endpoints: [{ addresses: [], conditions: { ready: 'no' } }] } }),
      want: 400,
      message: 'request.object.endpoints[0].conditions.ready must be a boolean',
    },
  };
  test.each(Object.entries(cases))('%s', async (_name, { path = '/mutate/pods', body, method, headers, want, message }) => {
    const reply = await webhook.send(path, body, { ...(method && { method }), ...(headers && { headers }) });
    expect(reply.body).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      code: want,
      message: message instanceof RegExp ? expect.stringMatching(message) : message,
    });
    expect(reply.status).toBe(want);
    expect(reply.headers['content-type']).toBe('application/json');
    // The process is unharmed.
    expect((await webhook.send('/healthz')).status).toBe(200);
    expect((await webhook.send('/mutate/pods', podReview)).body).toMatchObject({ response: { uid: 'review-1', allowed: true } });
  });

  test('a body that never ends', async () => {
    const socket = connect({ port: webhook.server.address.port, host: '127.0.0.1', ca: CERTIFICATES.ca });
    socket.write('POST /mutate/pods HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{');
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('the body did not arrive within 0.3 s');
  });

  test('a sender that goes away in the middle of its body does no harm', async () => {
    const socket = connect({ port: webhook.server.address.port, host: '127.0.0.1', ca: CERTIFICATES.ca });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write('POST /mutate/pods HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{', () => socket.destroy());
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await webhook.send('/mutate/pods', podReview)).status).toBe(200);
    expect(webhook.captured.lines.filter((line) => line['level'] === 'error')).toEqual([]);
  });
});

describe('an internal failure', () => {
  test('answers HTTP 500 without details, logs them, and denies nothing', async () => {
    broken = new Error('secret detail');
    const reply = await webhook.send('/mutate/pods', podReview);
    expect(reply.status).toBe(500);
    expect(reply.body).toMatchObject({ kind: 'Status', code: 500, message: 'internal error; see the log of hot-switch webhook' });
    expect(JSON.stringify(reply.body)).not.toContain('allowed');
    expect(webhook.captured.lines).toContainEqual(expect.objectContaining({ level: 'error', error: 'secret detail', uid: 'review-1', path: '/mutate/pods' }));
    broken = undefined;
    expect((await webhook.send('/mutate/pods', podReview)).status).toBe(200);
  });
});

describe('/mutate/pods', () => {
  test("echoes uid, apiVersion and kind, and patches with the namespace's defaults", async () => {
    const { body } = await webhook.send('/mutate/pods?timeout=5s', podReview);
    expect(body).toMatchObject({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'review-1', allowed: true, patchType: 'JSONPatch' },
    });
    const { patch = [] } = await webhook.review('/mutate/pods', { kind: POD, object: meshedPod() });
    const pod = applyPatch(meshedPod(), patch);
    expect(pod.spec.readinessGates).toEqual([{ conditionType: TRAFFIC_READY }]);
    expect(pod.metadata.labels).toEqual({ [TRAFFIC_LABEL]: 'meshed' });
    expect(JSON.parse(pod.metadata.annotations?.[EFFECTIVE_POLICY] ?? '')).toMatchObject({ mode: 'observe' });
    expect(await webhook.review('/mutate/pods', { kind: POD, object: pod })).toEqual({ uid: 'review-1', allowed: true });
  });

  test("works on the pod's own annotations while the namespace is not known", async () => {
    const { patch = [] } = await webhook.review('/mutate/pods', { kind: POD, namespace: 'elsewhere', object: meshedPod() });
    expect(applyPatch(meshedPod(), patch).metadata.annotations?.[EFFECTIVE_POLICY]).toContain('"mode":"enforce"');
  });

  const untouched: Record<string, unknown> = {
    'containers that are null': { metadata: { name: 'x', creationTimestamp: null }, spec: { containers: null } },
    'an empty spec': { metadata: {}, spec: {} },
    '2,000 containers': { metadata: {}, spec: { containers: Array.from({ length: 2_000 }, (_, index) => ({ name: `c${index}`, args: null, env: null })) } },
    'keys that are hostile to JavaScript': JSON.parse(
      '{"metadata":{"annotations":{"__proto__":"x"},"__proto__":{"labels":{}}},"spec":{"__proto__":{"hostNetwork":true}}}',
    ),
  };
  test.each(Object.entries(untouched))('leaves a pod with %s as it is', async (_name, object) => {
    expect(await webhook.review('/mutate/pods', { kind: POD, object })).toEqual({ uid: 'review-1', allowed: true });
  });

  test('leaves updates as they are', async () => {
    expect(await webhook.review('/mutate/pods', { kind: POD, operation: 'UPDATE', object: meshedPod(), oldObject: meshedPod() })).toEqual({
      uid: 'review-1',
      allowed: true,
    });
  });
});

describe('/validate/policy', () => {
  const wrong = { metadata: { annotations: { 'hot-switch.io/probe-period': '5' } }, spec: { containers: [] } };
  const message = 'metadata.annotations[hot-switch.io/probe-period]: must be a duration between 100ms and 1m, e.g. "1s" or "200ms", not "5"';

  test.each(Object.entries({ 'bare pod': POD, namespace: NAMESPACE }))('denies a wrong value on a %s with a field error', async (_name, kind) => {
    const response = await webhook.review('/validate/policy', { kind, object: wrong });
    expect(response).toEqual({ uid: 'review-1', allowed: false, status: { code: 422, reason: 'Invalid', message } });
  });

  test('admits the pod of a controller with a warning', async () => {
    const object = { ...wrong, metadata: { ...wrong.metadata, ownerReferences: [{ kind: 'ReplicaSet', name: 'r', uid: 'u', controller: true }] } };
    expect(await webhook.review('/validate/policy', { kind: POD, object })).toEqual({ uid: 'review-1', allowed: true, warnings: [message] });
  });

  test('admits an update that leaves the wrong value as it was', async () => {
    expect(await webhook.review('/validate/policy', { kind: NAMESPACE, operation: 'UPDATE', object: wrong, oldObject: wrong })).toEqual({
      uid: 'review-1',
      allowed: true,
    });
  });

  test('admits a deletion, which has no object', async () => {
    expect(await webhook.review('/validate/policy', { kind: POD, operation: 'DELETE', object: null, oldObject: wrong })).toEqual({
      uid: 'review-1',
      allowed: true,
    });
  });

  test('warns about an opt-in that has no effect', async () => {
    const object = { metadata: { labels: { 'hot-switch.io/failover': 'on' } } };
    expect(await webhook.review('/validate/policy', { kind: NAMESPACE, object })).toMatchObject({
      allowed: true,
      warnings: ['label hot-switch.io/failover with the value "on" has no effect; use "enabled"'],
    });
  });
});

describe('/mutate/endpointslices', () => {
  const slice = {
    metadata: { name: 'shop-x', generateName: 'shop-', labels: { [MANAGED_BY_LABEL]: ENDPOINT_SLICE_CONTROLLER, [SERVICE_NAME_LABEL]: 'shop' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: [
      {
        addresses: ['10.0.0.1'],
        conditions: { ready: false, serving: false, terminating: false },
        hints: null,
        nodeName: 'n1',
        targetRef: { kind: 'Pod', namespace: 'demo', name: 'shop-1', uid: 'u1' },
      },
    ],
  };
  const bypassed: EndpointFacts = {
    ...NO_FACTS,
    synced: true,
    pod: () => ({
      uid: 'u1',
      nodeName: 'n1',
      traffic: 'bypassed',
      trafficReady: 'True',
      bypassed: 'True',
      deleting: false,
      podReady: false,
      othersReady: true,
      bypass: { bootID: 'b1', until: undefined },
    }),
    node: () => ({ ready: true, bootID: 'b1', zone: undefined }),
    lease: () => ({ renewedMs: Date.now() }),
    publishesNotReady: () => false,
  };

  test('raises the endpoint of a bypassed pod', async () => {
    facts = bypassed;
    const { patch = [] } = await webhook.review('/mutate/endpointslices', { kind: SLICE, operation: 'UPDATE', object: slice });
    expect(applyPatch(slice, patch).endpoints[0]?.conditions).toEqual({ ready: true, serving: true, terminating: false });
  });

  test('lets every write pass while its caches are not filled', async () => {
    facts = { ...bypassed, synced: false };
    expect(await webhook.review('/mutate/endpointslices', { kind: SLICE, object: slice })).toEqual({ uid: 'review-1', allowed: true });
  });

  test('never touches a write of our own controller', async () => {
    facts = bypassed;
    expect(await webhook.review('/mutate/endpointslices', { kind: SLICE, object: slice, userInfo: { username: CONTROLLER_USER } })).toEqual({
      uid: 'review-1',
      allowed: true,
    });
  });

  test('takes a slice without endpoints', async () => {
    facts = bypassed;
    expect(await webhook.review('/mutate/endpointslices', { kind: SLICE, object: { ...slice, endpoints: null } })).toEqual({ uid: 'review-1', allowed: true });
  });
});

describe('the probes', () => {
  test('healthz is well while readyz says why it is not ready', async () => {
    notReady = 'the cache of namespaces is not filled yet';
    expect((await webhook.send('/healthz')).status).toBe(200);
    expect(await webhook.send('/readyz')).toMatchObject({ status: 503, body: { message: notReady } });
    expect((await webhook.send('/mutate/pods', podReview)).status).toBe(200);
    notReady = undefined;
    expect((await webhook.send('/readyz')).status).toBe(200);
    expect((await webhook.send('/healthz', undefined, { method: 'HEAD' })).status).toBe(200);
  });
});
