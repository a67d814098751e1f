import type { RulesetReading } from '../../core/netfilter/ruleset.ts';
import { run, start, type Argv } from './exec.ts';
import type { PodNetns } from './handle.ts';
import { parseRuleset } from './iptables-save.ts';

export interface IptablesOptions {
  readonly nsenter?: string;
  readonly save?: string;
  readonly restore?: string;
  /** Of each call. */
  readonly timeoutMs?: number;
}

export interface Iptables {
  /** Reads all rules of the namespace; unknown when the command fails or its text cannot be parsed. */
  save(netns: PodNetns): Promise<RulesetReading>;
  /** Applies the text, all of a table's lines or none (`iptables-restore --noflush`). Rejects when the namespace is not the pod's any more, or the command fails. */
  apply(netns: PodNetns, restoreText: string): Promise<void>;
  /** Starts the command that `apply` would, to wait inside the namespace for its text: most of the time of a change is the start. */
  poise(netns: PodNetns): PoisedChange;
}

/** A change that is about to be made. */
export interface PoisedChange {
  /** As `Iptables.apply`; once. */
  apply(restoreText: string): Promise<void>;
  /** Ends the command without a change. */
  cancel(): void;
}

/** The rules of a network namespace through iptables (nft backend, IPv4). */
export function createIptables(options: IptablesOptions = {}): Iptables {
  const { nsenter = 'nsenter', save = 'iptables-nft-save', restore = 'iptables-nft-restore', timeoutMs = 2000 } = options;

  function poise(netns: PodNetns): PoisedChange {
    const command = start(inside(nsenter, [restore, '--noflush']), { timeoutMs, fds: [netns.fd] });
    return {
      async apply(restoreText) {
        const valid = await netns.valid();
        await command.finish(valid ? restoreText : '');
        if (!valid) throw new Error('the network namespace is not that of the pod any more');
      },
      // Without input the command changes nothing.
      cancel: () => void command.finish('').catch(() => undefined),
    };
  }

  return {
    async save(netns) {
      try {
        return parseRuleset(await run(inside(nsenter, [save]), { timeoutMs, fds: [netns.fd] }));
      } catch (cause) {
        return { known: false, why: cause instanceof Error ? cause.message : String(cause) };
      }
    },
    apply: (netns, restoreText) => poise(netns).apply(restoreText),
    poise,
  };
}

/** The command line that runs a command in the namespace that it inherits as descriptor 3: no path that could change meanwhile. */
export function inside(nsenter: string, command: Argv, fd = 3): Argv {
  return [nsenter, `--net=/proc/self/fd/${fd}`, '--', ...command];
}
