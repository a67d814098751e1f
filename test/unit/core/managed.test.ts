import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAppProbes } from '../../../src/core/app-probes.ts';
import { appProbersOf, recognise } from '../../../src/core/managed.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { projectPod } from '../../../src/core/project-pod.ts';
import { meshedPod } from '../../support/meshed-pod.ts';

function golden(name: string): Pod {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../golden/pods', `${name}.json`), 'utf8')) as Pod;
}

/** A meshed pod whose istio-proxy has the given environment. */
function withEnv(env: readonly { readonly name: string; readonly value?: string }[], annotations?: Readonly<Record<string, string>>): Pod {
  return meshedPod({
    spec: { initContainers: [{ name: 'istio-init' }, { name: 'istio-proxy', args: ['proxy', 'sidecar'], env }] },
    ...(annotations && { metadata: { annotations } }),
  });
}

describe('left alone', () => {
  test.each([
    ['no-sidecar', 'has no container istio-proxy'],
    ['gateway', 'runs istio-proxy as "router", not as a sidecar'],
    ['proxyless-grpc', 'is proxyless: istio-proxy runs without Envoy'],
    ['host-network', 'uses the network of its node'],
    ['interception-none', 'has neither istio-init nor istio-validation'],
  ])('%s: %s', (name, why) => {
    expect(recognise(golden(name))).toEqual({ managed: false, why });
    expect(recognise(projectPod(golden(name)))).toEqual({ managed: false, why });
  });

  test.each<[string, Pod, string]>([
    ['proxyless as Go writes it', withEnv([{ name: 'DISABLE_ENVOY', value: '1' }]), 'is proxyless: istio-proxy runs without Envoy'],
    ['interception NONE of the environment', withEnv([{ name: 'ISTIO_META_INTERCEPTION_MODE', value: 'NONE' }]), 'has interception mode "NONE"'],
    ['interception NONE of the annotation', withEnv([], { 'sidecar.istio.io/interceptionMode': 'NONE' }), 'has interception mode "NONE"'],
    ['a mode of a later version', withEnv([{ name: 'ISTIO_META_INTERCEPTION_MODE', value: 'X'.repeat(99) }]), `has interception mode "${'X'.repeat(32)}"`],
    [
      'a role without a name',
      meshedPod({ spec: { containers: [{ name: 'istio-proxy', args: ['proxy'] }], initContainers: [] } }),
      'runs istio-proxy as "", not as a sidecar',
    ],
    [
      'a waypoint',
      meshedPod({ spec: { containers: [{ name: 'istio-proxy', args: ['proxy', 'waypoint'] }], initContainers: [] } }),
      'runs istio-proxy as "waypoint", not as a sidecar',
    ],
  ])('%s', (_, pod, why) => {
    expect(recognise(pod)).toEqual({ managed: false, why });
  });
});

describe('managed', () => {
  test.each([
    ['meshed-native', true],
    ['meshed-classic', false],
    ['meshed-tproxy', true],
    ['meshed-cni', true],
    ['meshed-args-overridden', false],
  ])('%s, native: %j', (name, native) => {
    for (const pod of [golden(name), projectPod(golden(name))]) {
      const found = recognise(pod);
      expect(found).toMatchObject({ managed: true, native, proxy: { name: 'istio-proxy' } });
      const { probers, problems } = parseAppProbes(found.managed ? appProbersOf(found.proxy) : undefined);
      expect([...probers.keys()]).toEqual(['/app-health/shop/readyz']);
      expect(problems).toEqual([]);
    }
  });

  test.each<[string, Pod]>([
    ['no interception mode anywhere: REDIRECT is the default of Istio', withEnv([])],
    [
      'the environment beats the annotation',
      withEnv([{ name: 'ISTIO_META_INTERCEPTION_MODE', value: 'TPROXY' }], { 'sidecar.istio.io/interceptionMode': 'NONE' }),
    ],
    ['Envoy that is not disabled', withEnv([{ name: 'DISABLE_ENVOY', value: 'false' }])],
    ['a value from elsewhere is no value', withEnv([{ name: 'DISABLE_ENVOY' }])],
  ])('%s', (_, pod) => {
    expect(recognise(pod).managed).toBe(true);
  });
});
