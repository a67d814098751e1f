import { hooksOf, isProbeRedirect, PARKED_CHAIN, probeRedirect, type Hook, type TableHooks } from './hooks.ts';
import type { RulesetReading } from './ruleset.ts';
import { targetOf, withPlace } from './spec.ts';

/**
 * attached: the sidecar gets the traffic. detached: its hooks are parked. partial: some of both, or leftovers of ours beside live hooks.
 * absent: neither hooks nor parked ones. unknown: could not be read.
 */
export type RedirectionState = 'attached' | 'detached' | 'partial' | 'absent' | 'unknown';

/** Text for `iptables-restore --noflush`, or nothing to do, or why it cannot be done. */
export type Plan = { readonly restoreText: string } | { readonly already: true } | { readonly problem: string };

/** What the netns itself says about the redirection. */
export function redirectionOf(ruleset: RulesetReading): RedirectionState {
  const tables = ruleset.known ? hooksOf(ruleset) : 'unknown';
  if (typeof tables === 'string') return 'unknown';
  const live = tables.some((table) => table.live.length > 0);
  const parked = tables.some((table) => table.parked.length > 0);
  const leftovers = tables.some((table) => table.hasParkedChain || table.probeRedirects.length > 0);
  if (live) return parked || leftovers ? 'partial' : 'attached';
  return parked ? 'detached' : 'absent';
}

/**
 * Takes out every jump of a built-in chain to a chain of Istio and parks a copy; repairs a partial state.
 * `probePort` is the wanted end state: with it exactly one redirect of the status port to it stands first in nat PREROUTING, without it none.
 */
export function planDetach(ruleset: RulesetReading, options: { readonly probePort?: number } = {}): Plan {
  const tables = readable(ruleset);
  if (typeof tables === 'string') return { problem: tables };
  const { probePort } = options;
  if (probePort !== undefined && !(Number.isInteger(probePort) && probePort > 0 && probePort < 65536)) return { problem: 'the probe port is no port' };
  if (probePort !== undefined && !tables.some((table) => table.name === 'nat')) return { problem: 'there is no table nat for the probe redirect' };
  const wanted = probePort === undefined ? [] : [probeRedirect(probePort)];
  return transaction(tables.map((table) => block(table.name, detachLines(table, table.name === 'nat' ? wanted : []))));
}

/** Puts every parked jump back to its place, takes our chain and the probe redirect out; repairs a partial state. */
export function planRestore(ruleset: RulesetReading): Plan {
  const tables = readable(ruleset);
  if (typeof tables === 'string') return { problem: tables };
  const orphan = tables.flatMap((table) => table.parked.filter((hook) => !targetExists(table, hook)))[0];
  if (orphan !== undefined) return { problem: `the chain that the parked rule of ${orphan.chain} jumps to is gone` };
  return transaction(tables.map((table) => block(table.name, restoreLines(table))));
}

function readable(ruleset: RulesetReading): readonly TableHooks[] | string {
  if (!ruleset.known) return `the rules could not be read: ${ruleset.why}`;
  const tables = hooksOf(ruleset);
  if (typeof tables === 'string') return tables;
  return tables.some((table) => table.live.length > 0 || table.parked.length > 0) ? tables : 'there is no redirection of Istio, neither live nor parked';
}

function detachLines(table: TableHooks, wantedProbes: readonly string[]): readonly string[] {
  const lines: string[] = [];
  if (table.live.length > 0) {
    // Declaring a chain empties it, so that a partial state ends with each hook parked once.
    lines.push(`:${PARKED_CHAIN} - [0:0]`);
    lines.push(...hooksWhenAttached(table).map((hook) => `-A ${PARKED_CHAIN} ${withPlace(hook.spec, hook)}`));
    // By content, not by number: if somebody changed the chain since it was read, the whole transaction fails instead of taking out another rule.
    lines.push(...table.live.map((hook) => `-D ${hook.chain} ${hook.spec}`));
  } else if (table.hasParkedChain && table.parked.length === 0) {
    lines.push(`-X ${PARKED_CHAIN}`);
  }
  return [...lines, ...probeLines(table, wantedProbes)];
}

function restoreLines(table: TableHooks): readonly string[] {
  const lines = [...probeLines(table, [])];
  for (const chain of chainsOf(table.parked)) {
    let length = entriesOf(table, chain).length;
    for (const hook of missingHooks(table, chain)) {
      length += 1;
      // Foreign rules may have gone in the meantime: then the end of the chain is the place.
      lines.push(`-I ${chain} ${Math.min(hook.position, length)} ${hook.spec}`);
    }
  }
  if (table.hasParkedChain) lines.push(`-F ${PARKED_CHAIN}`, `-X ${PARKED_CHAIN}`);
  return lines;
}

/** Parked hooks of a chain that nobody put back already. */
function missingHooks(table: TableHooks, chain: string): readonly Hook[] {
  const there = table.live.filter((hook) => hook.chain === chain).map((hook) => hook.spec);
  return table.parked.filter((hook) => hook.chain === chain && !takeOne(there, hook.spec));
}

/** Every hook, live or parked, with the place it has once all are attached. A hook that is both counts once, at its parked place. */
function hooksWhenAttached(table: TableHooks): readonly Hook[] {
  return chainsOf([...table.live, ...table.parked]).flatMap((chain) => {
    const parked = table.parked.filter((hook) => hook.chain === chain);
    const again = parked.map((hook) => hook.spec);
    const entries = entriesOf(table, chain).filter((entry) => !entry.hook || !takeOne(again, entry.spec));
    for (const hook of parked) entries.splice(Math.min(hook.position - 1, entries.length), 0, { spec: hook.spec, hook: true });
    return entries.flatMap((entry, index) => (entry.hook ? [{ chain, position: index + 1, spec: entry.spec }] : []));
  });
}

/** Rules of a chain without our probe redirects. */
function entriesOf(table: TableHooks, chain: string): { readonly spec: string; readonly hook: boolean }[] {
  const hooks = table.live.filter((hook) => hook.chain === chain).map((hook) => hook.spec);
  const rules = table.table.rules.filter((rule) => rule.chain === chain && !(table.name === 'nat' && isProbeRedirect(rule)));
  return rules.map((rule) => ({ spec: rule.spec, hook: hooks.includes(rule.spec) }));
}

function probeLines(table: TableHooks, wanted: readonly string[]): readonly string[] {
  const first = table.table.rules.find((rule) => rule.chain === 'PREROUTING')?.spec;
  const asWanted = table.probeRedirects.length === wanted.length && (wanted[0] === undefined || wanted[0] === first);
  if (asWanted) return [];
  return [...table.probeRedirects.map((spec) => `-D PREROUTING ${spec}`), ...wanted.map((spec) => `-I PREROUTING 1 ${spec}`)];
}

function targetExists(table: TableHooks, hook: Hook): boolean {
  const target = targetOf(hook.spec);
  return target.ok && target.name !== undefined && table.table.chains.has(target.name);
}

function takeOne(specs: string[], spec: string): boolean {
  const at = specs.indexOf(spec);
  if (at !== -1) specs.splice(at, 1);
  return at !== -1;
}

function chainsOf(hooks: readonly Hook[]): readonly string[] {
  return [...new Set(hooks.map((hook) => hook.chain))];
}

function block(table: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
}

function transaction(blocks: readonly string[]): Plan {
  const restoreText = blocks.join('');
  return restoreText === '' ? { already: true } : { restoreText };
}
