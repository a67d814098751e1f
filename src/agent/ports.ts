import type { Server } from 'node:net';
import type { Reason } from '../api/reasons.ts';
import type { RulesetReading } from '../core/netfilter/ruleset.ts';
import type { ListenersReading } from '../core/proc-net.ts';
import type { Pod } from '../core/pod.ts';
import type { StatusChange } from '../core/pod-status.ts';

/** A pod's network namespace, opened while the pod was healthy and verified to be this pod's; closed when the pod goes. */
export interface PodNetwork {
  /** Names the sandbox: one that replaced it under the same UID has another. */
  readonly sandbox: string;
  /** The agent's port in it that answers app probes. */
  readonly probeServer: Server;
  readonly probePort: number;
  save(): Promise<RulesetReading>;
  apply(restoreText: string): Promise<void>;
  /** A change may come within a moment: gets ready for it. Changes nothing, and costs little when none comes. */
  poise(): void;
  listeners(): Promise<ListenersReading>;
  valid(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Networks {
  /** Finds and opens the namespace of a pod; throws with the reason when it cannot. */
  open(pod: Pod): Promise<PodNetwork>;
}

/** The Kubernetes API, as far as the agent writes to it. */
export interface PodWriter {
  /** One write of `pods/status`; 'gone' when this pod, by UID, is no more. */
  write(pod: Pod, change: StatusChange): Promise<Pod | 'gone'>;
  record(pod: Pod, type: 'Normal' | 'Warning', reason: Reason, message: string): void;
}
