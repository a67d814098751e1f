import { STATUS_PORT } from '../../api/istio.ts';
import { isMovable, targetOf, withoutPlace, type Place } from './spec.ts';
import type { Rule, Ruleset, Table } from './ruleset.ts';

/** Our chain, one in each table that has hooks; nothing jumps to it. */
export const PARKED_CHAIN = 'HOT_SWITCH_PARKED';
/** Chains of Istio (istio/istio, tools/istio-iptables/pkg/constants). */
const ISTIO_CHAIN = /^ISTIO_[A-Z0-9_]+$/;
/** Chains that the kernel itself calls (netfilter/uapi). */
const BUILT_IN: ReadonlySet<string> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);
const MAX_HOOKS = 64;

/** A rule by which a built-in chain hands traffic to a chain of Istio. */
export interface Hook extends Place {
  readonly spec: string;
}

/** What one table holds of the redirection. */
export interface TableHooks {
  readonly name: string;
  readonly table: Table;
  /** Hooks that work. */
  readonly live: readonly Hook[];
  /** Hooks that we took out, with the place they belong to; by position within a chain. */
  readonly parked: readonly Hook[];
  readonly hasParkedChain: boolean;
  /** Specs of our redirects of the status port to a probe responder. */
  readonly probeRedirects: readonly string[];
}

/** Our redirect of the status port, in PREROUTING of the table nat; exactly as iptables-save prints it. */
export function probeRedirect(port: number): string {
  return `-p tcp -m tcp --dport ${STATUS_PORT} -m comment --comment "hot-switch probes" -j REDIRECT --to-ports ${port}`;
}

export function isProbeRedirect(rule: Rule): boolean {
  const port = / --to-ports (\d{1,5})$/.exec(rule.spec)?.[1];
  return port !== undefined && rule.chain === 'PREROUTING' && rule.spec === probeRedirect(Number(port));
}

/** Finds the hooks of every table; a sentence when there is something that we did not write and cannot move. */
export function hooksOf(ruleset: Ruleset): readonly TableHooks[] | string {
  const found: TableHooks[] = [];
  for (const [name, table] of ruleset.tables) {
    const hooks = hooksOfTable(name, table);
    if (typeof hooks === 'string') return `table ${name}: ${hooks}`;
    found.push(hooks);
  }
  return found;
}

function hooksOfTable(name: string, table: Table): TableHooks | string {
  const live: Hook[] = [];
  const parked: Hook[] = [];
  const lengths = new Map<string, number>();
  for (const rule of table.rules) {
    const position = (lengths.get(rule.chain) ?? 0) + 1;
    lengths.set(rule.chain, position);
    const target = targetOf(rule.spec);
    if (!target.ok) return `the rule at ${rule.chain} ${position} ${target.why}`;
    if (target.name === PARKED_CHAIN) return `chain ${rule.chain} jumps to ${PARKED_CHAIN}`;
    if (rule.chain === PARKED_CHAIN) {
      const hook = parkedHook(rule, target.name);
      if (typeof hook === 'string') return hook;
      parked.push(hook);
    } else if (isIstio(target.name) && table.chains.get(rule.chain)?.builtIn === true) {
      if (!isMovable(rule.spec)) return `the rule at ${rule.chain} ${position} is in a form that is not moved`;
      live.push({ chain: rule.chain, position, spec: rule.spec });
    }
  }
  if (live.length + parked.length > MAX_HOOKS) return 'too many jumps to chains of Istio';
  return {
    name,
    table,
    live,
    parked: parked.sort((a, b) => a.position - b.position),
    hasParkedChain: table.chains.has(PARKED_CHAIN),
    probeRedirects: name === 'nat' ? table.rules.filter(isProbeRedirect).map((rule) => rule.spec) : [],
  };
}

function isIstio(target: string | undefined): boolean {
  return target !== undefined && ISTIO_CHAIN.test(target);
}

function parkedHook(rule: Rule, target: string | undefined): Hook | string {
  const parked = withoutPlace(rule.spec);
  const ours = parked !== undefined && BUILT_IN.has(parked.place.chain) && isIstio(target) && isMovable(parked.spec);
  return ours ? { ...parked.place, spec: parked.spec } : `${PARKED_CHAIN} holds a rule that was not parked by us`;
}
