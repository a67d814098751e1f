import type { Pod } from '../core/pod.ts';
import { backoffMs, type Backoff } from '../runtime/backoff.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Networks, PodNetwork } from './ports.ts';

/** Keeps one pod's network namespace open: found when the pod has an address, opened again when its sandbox was replaced. */
export interface NetworkHolder {
  /** Level-triggered: opens what is not open, and tries again by itself when that fails. */
  open(pod: Pod): void;
  /** Closes and opens again when the process it was found through has gone or moved. */
  check(pod: Pod): Promise<void>;
  close(): Promise<void>;
}

export interface NetworkHolderOptions {
  readonly log: Logger;
  /** Called with each namespace that was opened; gives what is to be called before it is closed. */
  readonly onOpen: (network: PodNetwork, pod: Pod) => () => Promise<void>;
  readonly backoff?: Backoff;
}

const BACKOFF: Backoff = { minMs: 200, maxMs: 10_000, factor: 2, jitter: 0.3 };

/** A holder that has nothing open yet. */
export function createNetworkHolder(networks: Networks, options: NetworkHolderOptions): NetworkHolder {
  const { log, onOpen, backoff = BACKOFF } = options;
  let held: { readonly network: PodNetwork; readonly leave: () => Promise<void> } | undefined;
  let opening: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let failures = 0;
  let closed = false;
  let wanted: Pod;

  async function find(pod: Pod): Promise<void> {
    try {
      const network = await networks.open(pod);
      if (closed) return await network.close();
      failures = 0;
      held = { network, leave: onOpen(network, pod) };
    } catch (error) {
      if (closed) return;
      const delayMs = backoffMs(backoff, failures++);
      retry = setTimeout(() => {
        retry = undefined;
        open(wanted);
      }, delayMs);
      log.info('network namespace not open yet', { error, failures });
    }
  }

  function open(pod: Pod): void {
    wanted = pod;
    const ready = pod.status?.podIP !== undefined && pod.status.podIP !== '' && pod.metadata.deletionTimestamp === undefined;
    if (closed || !ready || held !== undefined || opening !== undefined || retry !== undefined) return;
    opening = find(pod).finally(() => {
      opening = undefined;
    });
  }

  async function letGo(): Promise<void> {
    const last = held;
    held = undefined;
    await last?.leave();
    await last?.network.close();
  }

  return {
    open,
    async check(pod) {
      const looked = held;
      if (looked === undefined || (await looked.network.valid()) || held !== looked) return;
      log.info('the sandbox of the pod is gone');
      await letGo();
      open(pod);
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      await opening;
      await letGo();
    },
  };
}
