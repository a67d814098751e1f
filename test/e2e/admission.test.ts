import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createShop, OPTED_IN, serviceAccountReady, shopContainer, shopPod } from '../cluster/shop.ts';
import { NODE_IP } from '../cluster/host.ts';
import { condition, startLab, traffic, untilPod, type Lab } from './lab.ts';
import { applyPatch } from '../support/json-patch.ts';
import { mutatePod } from '../../src/core/mutate-pod.ts';
import type { Pod } from '../../src/core/pod.ts';
import { run } from '../cluster/run.ts';

/* Which pods the webhook prepares, and which it leaves alone, with the real injector before it. */

const OPTED = 'shop-admitted';
const OTHER = 'shop-other';
const GATE = 'hot-switch.io/TrafficReady';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ allowNamespaces: [OPTED] });
}, 300_000);
afterAll(() => lab?.end(), 60_000);

describe('a pod of a Deployment in an opted-in namespace', () => {
  let pod: Pod;
  beforeAll(async () => {
    await createShop(lab.cluster, OPTED, {
      namespaceLabels: OPTED_IN.labels,
      namespaceAnnotations: { ...OPTED_IN.consent, 'hot-switch.io/probe-period': '500ms' },
    });
    pod = await untilPod(
      'the sidecar healthy',
      60_000,
      () => shopPod(lab.cluster, OPTED),
      (seen) => condition(seen, 'ProxyHealthy')?.status === 'True',
    );
  }, 120_000);

  test('has the gate, the policy and the label, and becomes Ready', () => {
    expect(pod.spec.readinessGates).toEqual([{ conditionType: GATE }]);
    expect(JSON.parse(pod.metadata.annotations?.['hot-switch.io/effective-policy'] ?? '{}')).toMatchObject({
      mode: 'enforce',
      security: 'allow',
      'probe-period': '500ms',
    });
    expect(traffic(pod)).toBe('meshed');
    expect(condition(pod, 'Ready')?.status).toBe('True');
    expect(condition(pod, 'TrafficReady')).toMatchObject({ status: 'True', reason: 'Meshed' });
    expect(condition(pod, 'Bypassed')?.status).toBe('False');
  });

  test('shows 2/2 and gates 1/1 in kubectl', async () => {
    const table = await lab.cluster.kubectl('get', 'pods', '-n', OPTED, '-o', 'wide', '-L', 'hot-switch.io/traffic');
    expect(table).toMatch(/ 2\/2 +Running .* 1\/1 +meshed/);
  });

  test('mutating the mutated pod gives an empty patch, in the code and at the webhook', async () => {
    expect(mutatePod(pod, {}).patch.filter(({ path }) => !path.includes('effective-policy'))).toEqual([]);
    const review = {
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: 'again',
        operation: 'CREATE',
        namespace: OPTED,
        kind: { group: '', version: 'v1', kind: 'Pod' },
        resource: { group: '', version: 'v1', resource: 'pods' },
        object: pod,
      },
    };
    const answer = await run('curl', ['-sk', '-m', '5', '-H', 'content-type: application/json', '--data-binary', '@-', `https://${NODE_IP}:9443/mutate/pods`], {
      input: JSON.stringify(review),
    });
    const response = (JSON.parse(answer) as { response: { uid: string; allowed: boolean; patch?: string } }).response;
    expect(response).toMatchObject({ uid: 'again', allowed: true });
    // The record of a bypass may not come with a new pod; a healthy one has none.
    expect(response.patch === undefined ? [] : JSON.parse(Buffer.from(response.patch, 'base64').toString())).toEqual([]);
  });

  test('the patch that the API server applied is the one that the code makes', () => {
    const bare = structuredClone(pod) as {
      metadata: { labels: Record<string, string>; annotations: Record<string, string> };
      spec: { readinessGates?: unknown };
    };
    delete bare.metadata.labels['hot-switch.io/traffic'];
    delete bare.metadata.annotations['hot-switch.io/effective-policy'];
    delete bare.spec.readinessGates;
    const again = applyPatch(bare, mutatePod(bare as unknown as Pod, { ...OPTED_IN.consent, 'hot-switch.io/probe-period': '500ms' }).patch) as Pod;
    expect(again).toEqual(pod);
  });
});

describe('left untouched', () => {
  const container = { ...(shopContainer() as object), readinessProbe: undefined, livenessProbe: undefined };
  const podOf = (name: string, metadata: object, spec: object = {}): unknown => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: OPTED, ...metadata },
    spec: { containers: [container], ...spec },
  });
  const cases: Readonly<Record<string, () => unknown>> = {
    'a pod that is not meshed': () => podOf('unmeshed', { labels: { 'sidecar.istio.io/inject': 'false' } }),
    'a gateway': () => podOf('gateway', { annotations: { 'inject.istio.io/templates': 'gateway' } }, { containers: [{ name: 'istio-proxy', image: 'auto' }] }),
    'proxyless gRPC': () => podOf('proxyless', { annotations: { 'inject.istio.io/templates': 'grpc-agent' } }),
    'a pod on the network of its node': () => podOf('host-network', {}, { hostNetwork: true }),
    'interception mode NONE': () => podOf('no-interception', { annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } }),
    'mode off': () => podOf('switched-off', { annotations: { 'hot-switch.io/mode': 'off' } }),
  };

  test.each(Object.entries(cases))('%s', async (_name, make) => {
    const wanted = make() as { metadata: { name: string } };
    await lab.cluster.apply(wanted);
    const pod = JSON.parse(await lab.cluster.kubectl('get', 'pod', '-n', OPTED, wanted.metadata.name, '-o', 'json')) as Pod;
    expect(pod.spec.readinessGates).toBeUndefined();
    expect(
      Object.keys({ ...pod.metadata.labels, ...pod.metadata.annotations }).filter((key) => key.startsWith('hot-switch.io/') && key !== 'hot-switch.io/mode'),
    ).toEqual([]);
    await lab.cluster.kubectl('delete', 'pod', '-n', OPTED, wanted.metadata.name, '--wait=false', '--grace-period=0', '--force');
  });

  test('a meshed pod of a namespace that did not opt in', async () => {
    await createShop(lab.cluster, OTHER);
    const pod = await shopPod(lab.cluster, OTHER);
    expect([...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name)).toContain('istio-proxy');
    expect(pod.spec.readinessGates).toBeUndefined();
    expect(Object.keys({ ...pod.metadata.labels, ...pod.metadata.annotations }).filter((key) => key.startsWith('hot-switch.io/'))).toEqual([]);
  }, 120_000);
});

describe('wrong values', () => {
  test('are denied on a namespace, with the field and the remedy', async () => {
    const result = await lab.cluster.tryKubectl('annotate', '--overwrite', 'namespace', OPTED, 'hot-switch.io/probe-period=soon');
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/metadata\.annotations\[hot-switch\.io\/probe-period\].*must be a duration.*"soon"/);
  });

  test('are denied on a bare pod', async () => {
    await serviceAccountReady(lab.cluster, OPTED);
    const result = await lab.cluster.tryKubectl('run', 'bare', '-n', OPTED, '--image=x', '--annotations=hot-switch.io/success-threshold=0');
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/metadata\.annotations\[hot-switch\.io\/success-threshold\].*"0"/);
  });

  test('unknown keys are a warning', async () => {
    const result = await lab.cluster.tryKubectl('annotate', 'namespace', OTHER, 'hot-switch.io/probe-periode=1s');
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/Warning: .*probe-periode/);
  });

  test('on a pod of a Deployment the pod is admitted all the same, on defaults', async () => {
    await lab.cluster.kubectl(
      'patch',
      'deployment',
      'shop',
      '-n',
      OPTED,
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { template: { metadata: { annotations: { 'hot-switch.io/success-threshold': 'many' } } } } }),
    );
    await lab.cluster.kubectl('rollout', 'status', '-n', OPTED, 'deployment/shop', '--timeout=90s');
    const pod = await untilPod(
      'the new pod alone',
      30_000,
      () => shopPod(lab.cluster, OPTED),
      () => true,
    );
    expect(JSON.parse(pod.metadata.annotations?.['hot-switch.io/effective-policy'] ?? '{}')).toMatchObject({ 'success-threshold': '3' });
  }, 150_000);
});

test('the configurations sort after Istio’s, and fail open', () => {
  const text = readFileSync(join(import.meta.dirname, '../../webhook-config/webhooks.yaml'), 'utf8');
  expect(text.match(/^ {2}name: zz-hot-switch$/gm)).toHaveLength(2);
  expect(text.match(/failurePolicy: Ignore/g)?.length).toBe(text.match(/failurePolicy: /g)?.length);
});
