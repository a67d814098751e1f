import { parseAppProbes } from '../core/app-probes.ts';
import { appProbersOf, recognise } from '../core/managed.ts';
import type { Pod } from '../core/pod.ts';
import type { Logger } from '../runtime/logger.ts';
import type { PodNetwork } from './ports.ts';
import { createProbeResponder } from './probe-responder.ts';
import { createSwitch, type Switch } from './switch.ts';

/** What the agent has inside one pod's network namespace: the switch, and a responder to the probes of the application. */
export interface PodInside {
  readonly network: PodNetwork;
  readonly switcher: Switch;
  /** Ends the responder; to be called before the namespace is closed. */
  leave(): Promise<void>;
}

/** Starts to serve the agent's listener in a namespace that was opened; its rules are not read yet. `nowMs` is the wall clock. */
export function enterPod(network: PodNetwork, pod: Pod, options: { readonly log: Logger; readonly nowMs: () => number }): PodInside {
  const { log } = options;
  const managed = recognise(pod);
  const { probers, problems } = parseAppProbes(managed.managed ? appProbersOf(managed.proxy) : undefined);
  if (problems.length > 0) log.warn('probes of the application that cannot be answered during a bypass', { problems });
  const responder = createProbeResponder({ server: network.probeServer, podIP: pod.status?.podIP ?? '', probers, log });
  return { network, switcher: createSwitch(network, options), leave: () => responder.stop() };
}
