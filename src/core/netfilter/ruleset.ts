/** The rules of a network namespace. */

export interface Rule {
  readonly chain: string;
  /** What stands after `-A CHAIN `, as iptables-save printed it. */
  readonly spec: string;
}

export interface Table {
  /** Chain name to whether the kernel calls it by itself (PREROUTING, OUTPUT, ...). */
  readonly chains: ReadonlyMap<string, { readonly builtIn: boolean }>;
  /** Rules of all chains, in the order of each chain. */
  readonly rules: readonly Rule[];
}

export interface Ruleset {
  readonly known: true;
  readonly tables: ReadonlyMap<string, Table>;
}

/** A ruleset that could not be read: never to be taken for an empty one. */
export interface UnknownRuleset {
  readonly known: false;
  readonly why: string;
}

export type RulesetReading = Ruleset | UnknownRuleset;
