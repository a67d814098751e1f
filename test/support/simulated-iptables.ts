import { parseRuleset } from '../../src/adapters/netns/iptables-save.ts';
import type { Ruleset } from '../../src/core/netfilter/ruleset.ts';

/** The rules of `iptables-save` text without its comments (they hold the time). */
export function withoutComments(text: string): string {
  return text.replaceAll(/^#.*\n?/gm, '');
}

/** Parses text that a test knows to be good. */
export function ruleset(text: string): Ruleset {
  const reading = parseRuleset(text);
  if (!reading.known) throw new Error(`the text of the test is bad: ${reading.why}`);
  return reading;
}

interface TableModel {
  readonly header: Map<string, string>;
  readonly rules: Map<string, string[]>;
}

/**
 * What iptables-save prints after `iptables-restore --noflush`, without comments. Only the lines that we write; throws where iptables fails.
 * The tests in a real network namespace compare it with the kernel.
 */
export function applied(saveText: string, restoreText: string): string {
  const tables = read(withoutComments(saveText));
  let name = '';
  for (const line of restoreText.split('\n').filter((text) => text !== '')) {
    if (line.startsWith('*')) name = line.slice(1);
    else if (line !== 'COMMIT') change(tables.get(name) ?? fail(`no table ${name}`), line);
  }
  return print(tables);
}

function read(text: string): Map<string, TableModel> {
  const tables = new Map<string, TableModel>();
  for (const line of text.split('\n')) {
    const table = [...tables.values()].at(-1);
    if (line.startsWith('*')) tables.set(line.slice(1), { header: new Map(), rules: new Map() });
    else if (line.startsWith(':')) declare(table ?? fail(line), line);
    else if (line.startsWith('-A ')) change(table ?? fail(line), line);
  }
  return tables;
}

function declare(table: TableModel, line: string): void {
  const [name = ''] = line.slice(1).split(' ');
  table.header.set(name, line);
  table.rules.set(name, []);
}

function change(table: TableModel, line: string): void {
  if (line.startsWith(':')) return declare(table, line);
  const [operation, chain = '', ...rest] = line.split(' ');
  const rules = table.rules.get(chain) ?? fail(`no chain ${chain}`);
  if (operation === '-A') rules.push(rest.join(' '));
  else if (operation === '-D') rules.splice(found(rules, rest.join(' ')), 1);
  else if (operation === '-F') rules.length = 0;
  else if (operation === '-I') insert(rules, Number(rest[0]), rest.slice(1).join(' '));
  else if (operation === '-X') drop(table, chain);
  else fail(`operation ${operation}`);
}

function insert(rules: string[], position: number, spec: string): void {
  if (position > rules.length + 1) fail(`index ${position} is too big`);
  rules.splice(position - 1, 0, spec);
}

function drop(table: TableModel, chain: string): void {
  const users = [...table.rules.values()].flat().filter((spec) => spec.endsWith(` ${chain}`));
  if ((table.rules.get(chain)?.length ?? 0) > 0 || users.length > 0) fail(`${chain} is in use`);
  table.header.delete(chain);
  table.rules.delete(chain);
}

function found(rules: readonly string[], spec: string): number {
  const at = rules.indexOf(spec);
  return at === -1 ? fail(`no rule ${spec}`) : at;
}

function print(tables: ReadonlyMap<string, TableModel>): string {
  let text = '';
  for (const [name, { header, rules }] of tables) {
    const own = [...header.keys()].filter((chain) => header.get(chain)?.includes(' - ')).sort();
    const chains = [...[...header.keys()].filter((chain) => !own.includes(chain)), ...own];
    const lines = [...chains.map((chain) => header.get(chain)), ...chains.flatMap((chain) => (rules.get(chain) ?? []).map((spec) => `-A ${chain} ${spec}`))];
    text += `*${name}\n${lines.join('\n')}\nCOMMIT\n`;
  }
  return text;
}

function fail(what: string): never {
  throw new Error(`iptables-restore: ${what}`);
}
