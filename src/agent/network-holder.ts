import type { Pod } from '../core/pod.ts';
import { backoffMs, type Backoff } from '../runtime/backoff.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Networks, PodNetwork } from './ports.ts';

/** Keeps one pod's network namespace open: found when the pod has an address, opened again when its sandbox was replaced. */
export interface NetworkHolder {
  /** Level-triggered: opens what is not open. */
  open(pod: Pod): void;
  current(): PodNetwork | undefined;
  /** Closes and opens again when the process it was found through has gone or moved. */
  check(pod: Pod): Promise<void>;
  close(): Promise<void>;
}

const BACKOFF: Backoff = { minMs: 200, maxMs: 10_000, factor: 2, jitter: 0.3 };

/** `onOpen` is called with each namespace that was opened. */
export function createNetworkHolder(networks: Networks, log: Logger, onOpen: (network: PodNetwork, pod: Pod) => void): NetworkHolder {
  let network: PodNetwork | undefined;
  let opening: Promise<void> | undefined;
  let notBeforeMs = 0;
  let failures = 0;
  let closed = false;

  async function find(pod: Pod): Promise<void> {
    try {
      const found = await networks.open(pod);
      if (closed) return await found.close();
      failures = 0;
      network = found;
      onOpen(found, pod);
    } catch (error) {
      notBeforeMs = performance.now() + backoffMs(BACKOFF, failures++);
      log.info('network namespace not open yet', { error, failures });
    }
  }

  function open(pod: Pod): void {
    const ready = pod.status?.podIP !== undefined && pod.status.podIP !== '' && pod.metadata.deletionTimestamp === undefined;
    if (closed || !ready || network !== undefined || opening !== undefined || performance.now() < notBeforeMs) return;
    opening = find(pod).finally(() => {
      opening = undefined;
    });
  }

  return {
    open,
    current: () => network,
    async check(pod) {
      const held = network;
      if (held === undefined || (await held.valid()) || network !== held) return;
      log.warn('the sandbox of the pod was replaced');
      network = undefined;
      await held.close();
      open(pod);
    },
    async close() {
      closed = true;
      await opening;
      await network?.close();
      network = undefined;
    },
  };
}
