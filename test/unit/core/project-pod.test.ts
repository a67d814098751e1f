import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { isOurs } from '../../../src/agent/agent.ts';
import { appRuns, plannedOf, proxyStatus, wasUpBefore } from '../../../src/core/observation.ts';
import type { Pod } from '../../../src/core/pod.ts';
import { statusChange } from '../../../src/core/pod-status.ts';
import { projectPod } from '../../../src/core/project-pod.ts';
import { makeRunningPod } from '../../support/running-pod.ts';
import { NOW_MS, running, seen } from '../../support/snapshot.ts';

const GOLDENS = join(import.meta.dirname, '../../golden/pods');
const goldens = readdirSync(GOLDENS).map((file) => [file, JSON.parse(readFileSync(join(GOLDENS, file), 'utf8')) as Pod] as const);

describe('projectPod keeps what decisions read', () => {
  const pods: readonly (readonly [string, Pod])[] = [
    ['a running pod', makeRunningPod()],
    ['a pod that is being deleted', makeRunningPod({ metadata: { deletionTimestamp: '2026-03-01T12:00:00Z' } })],
    ['a pod without status', { ...makeRunningPod(), status: {} }],
    ['a bypassed pod', makeRunningPod({ metadata: { annotations: { 'agent.hot-switch.io/bypass': JSON.stringify(running(1)) } } })],
    ...goldens,
  ];
  test.each(pods)('%s', (_, pod) => {
    const projected = projectPod(pod);
    const facts = (of: Pod): unknown => [isOurs(of), plannedOf(of), appRuns(of), proxyStatus(of), wasUpBefore(of), of.metadata.uid, of.status?.podIP];
    expect(facts(projected)).toEqual(facts(pod));
    for (const traffic of ['meshed', 'bypassed', 'blocked'] as const) {
      const desired = { decision: { act: 'keep', traffic, reason: 'Meshed', message: '' } as const, observation: seen('healthy'), record: running(2) };
      expect(statusChange(projected, desired, NOW_MS)).toEqual(statusChange(pod, desired, NOW_MS));
    }
    expect(projectPod(projected)).toEqual(projected);
  });
});

test('nothing of a tenant’s environment, commands or manifests is held', () => {
  const secret = { name: 'PASSWORD', value: 'hunter2' };
  const pod: Pod = {
    metadata: { uid: 'u', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'hunter2', 'hot-switch.io/mode': 'observe' } },
    spec: {
      containers: [{ name: 'app', env: [secret], args: ['--password=hunter2'], ports: [{ containerPort: 80 }] }],
      initContainers: [{ name: 'istio-init', args: ['hunter2'], env: [secret] }],
    },
  };
  expect(projectPod(pod)).toEqual({
    metadata: { uid: 'u', annotations: {} },
    spec: { containers: [{ name: 'app', ports: [{ containerPort: 80 }] }], initContainers: [{ name: 'istio-init' }] },
    status: {},
  });
});

test('what Istio makes of a pod becomes much smaller', () => {
  for (const [file, pod] of goldens.filter(([name]) => name.startsWith('meshed'))) {
    expect([file, JSON.stringify(projectPod(pod)).length / JSON.stringify(pod).length < 0.6]).toEqual([file, true]);
  }
});
