import type { Rule, RulesetReading, Table, UnknownRuleset } from '../../core/netfilter/ruleset.ts';

/** Longer text than this (in UTF-16 units) is not read; a pod's rules take a few thousand. */
const MAX_TEXT_LENGTH = 4 * 1024 * 1024;
const TABLE = /^\*([a-z0-9_-]{1,31})$/;
const CHAIN = /^:(\S{1,63}) (ACCEPT|DROP|QUEUE|RETURN|-) \[\d+:\d+\]$/;
const RULE = /^-A (\S{1,63})(?: (.*))?$/;

interface OpenTable {
  readonly name: string;
  readonly chains: Map<string, { readonly builtIn: boolean }>;
  readonly rules: Rule[];
}

/** Parses the whole output of iptables-save (no counters). Total: what it cannot read makes the reading unknown; never throws. */
export function parseRuleset(text: string): RulesetReading {
  if (text.length > MAX_TEXT_LENGTH) return unknown('the text is too long');
  const tables = new Map<string, Table>();
  let open: OpenTable | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const step = readLine(line, open, tables);
    if (typeof step === 'string') return unknown(`line ${index + 1} ${step}`);
    open = step.open;
  }
  return open === undefined ? { known: true, tables } : unknown(`table ${open.name} does not end`);
}

function readLine(line: string, open: OpenTable | undefined, tables: Map<string, Table>): { readonly open: OpenTable | undefined } | string {
  // "# Table `nat' is incompatible, use 'nft' tool.": there are rules that this program cannot show.
  if (line.startsWith('#')) return line.includes('incompatible') ? 'says that a table cannot be shown' : { open };
  if (line === '') return { open };
  if (line.startsWith('*')) return openTable(line, open, tables);
  if (open === undefined) return 'stands outside of a table';
  if (line === 'COMMIT') {
    tables.set(open.name, { chains: open.chains, rules: open.rules });
    return { open: undefined };
  }
  const problem = line.startsWith(':') ? addChain(line, open) : addRule(line, open);
  return problem ?? { open };
}

function openTable(line: string, open: OpenTable | undefined, tables: ReadonlyMap<string, Table>): { readonly open: OpenTable } | string {
  const name = TABLE.exec(line)?.[1];
  if (name === undefined) return 'is no table';
  if (open !== undefined) return `begins a table inside of ${open.name}`;
  if (tables.has(name)) return `begins table ${name} again`;
  return { open: { name, chains: new Map(), rules: [] } };
}

function addChain(line: string, open: OpenTable): string | undefined {
  const [, name, policy] = CHAIN.exec(line) ?? [];
  if (name === undefined) return 'is no chain';
  if (open.chains.has(name)) return 'declares a chain again';
  open.chains.set(name, { builtIn: policy !== '-' });
  return undefined;
}

function addRule(line: string, open: OpenTable): string | undefined {
  const [, chain, spec = ''] = RULE.exec(line) ?? [];
  if (chain === undefined) return 'is neither chain nor rule';
  if (!open.chains.has(chain)) return 'adds to a chain that was not declared';
  open.rules.push({ chain, spec });
  return undefined;
}

function unknown(why: string): UnknownRuleset {
  return { known: false, why };
}
