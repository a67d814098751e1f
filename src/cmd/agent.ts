import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { z } from 'zod';
import { createEventRecorder } from '../adapters/kube/events.ts';
import { patchPodStatus } from '../adapters/kube/pod-status.ts';
import { createReflector } from '../adapters/kube/reflector.ts';
import { createNetworks } from '../adapters/netns/networks.ts';
import { createAgent, isOurs } from '../agent/agent.ts';
import type { PodWriter } from '../agent/ports.ts';
import type { Pod } from '../core/pod.ts';
import { projectPod } from '../core/project-pod.ts';
import type { Logger } from '../runtime/logger.ts';
import { connect } from './connect.ts';
import { defineCommand, UsageError } from './command.ts';
import { commaList } from './flag-schemas.ts';
import type { FlagValues } from './flags.ts';
import { KUBE_FLAGS } from './kube-flags.ts';

const NODE_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

const FLAGS = {
  'node-name': {
    value: 'NAME',
    description: 'Node whose pods are looked after; the name of the machine when not given.',
    schema: z.string().regex(NODE_NAME, 'must be the name of a Node object').optional(),
  },
  'proc-root': {
    value: 'FOLDER',
    description: 'Where the proc file system of the node is mounted.',
    default: '/proc',
    schema: z.string().startsWith('/', 'must be an absolute path'),
  },
  'security-allow-namespaces': {
    value: 'NAMES',
    description:
      'Namespaces, separated by commas, where "hot-switch.io/security: allow" counts. Nowhere by default: a bypass that would suspend security is refused.',
    schema: commaList,
  },
  ...KUBE_FLAGS,
} as const;

/** `hot-switch agent`. */
export const agentCommand = defineCommand({
  name: 'agent',
  summary: 'Watches the sidecars of one node, and switches pods past a dead one and back (reconciler, on every node).',
  description: 'Runs in the network and process namespaces of the node, as root: it enters the network namespaces of pods.',
  flags: FLAGS,
  run: runAgent,
});

async function runAgent(values: FlagValues<typeof FLAGS>, log: Logger, stop: AbortSignal): Promise<number> {
  if (process.getuid?.() !== 0) throw new UsageError('entering the network namespaces of pods needs root; run the agent as root on the node');
  const node = values['node-name'] ?? hostname();
  const allowed = new Set(values['security-allow-namespaces']);
  const bootID = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const api = await connect('agent', values);
  const events = createEventRecorder({ api, component: 'hot-switch-agent', node, log });
  const writer: PodWriter = {
    write: async (pod, change) => {
      const answer = await patchPodStatus(api, refOf(pod), change);
      return answer === 'gone' ? answer : projectPod(answer);
    },
    record: (pod, type, reason, message) => events.record({ kind: 'Pod', ...refOf(pod) }, type, reason, message),
  };
  const agent = createAgent({
    networks: createNetworks(values['proc-root']),
    writer,
    log,
    bootID,
    installationAllows: (namespace) => allowed.has(namespace),
    nowMs: Date.now,
  });
  const pods = createReflector<Pod>({
    api,
    path: '/api/v1/pods',
    fieldSelector: `spec.nodeName=${node}`,
    project: (raw) => {
      const pod = raw as unknown as Pod;
      return isOurs(pod) ? projectPod(pod) : undefined;
    },
    onChange: (key, now) => agent.observe(key, now),
    log,
  });
  pods.start();
  log.info('watching', { node, bootID });
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await pods.stop();
  await agent.stop();
  await events.stop();
  await api.close();
  log.info('stopped');
  return 0;
}

function refOf(pod: Pod): { namespace: string; name: string; uid: string } {
  return { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name ?? '', uid: pod.metadata.uid ?? '' };
}
