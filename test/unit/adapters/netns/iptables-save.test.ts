import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { planDetach, planRestore, redirectionOf } from '../../../../src/core/netfilter/detach.ts';
import { parseRuleset } from '../../../../src/adapters/netns/iptables-save.ts';

const goldens = join(import.meta.dirname, '../../../golden/iptables');

const unreadable: Readonly<Record<string, string>> = {
  'a table that does not end': '*nat\n:OUTPUT ACCEPT [0:0]\n',
  'an error message': 'iptables-save: Permission denied (you must be root)\n',
  'a rule outside of a table': '-A OUTPUT -j ISTIO_OUTPUT\n',
  'a rule of a chain that is not declared': '*nat\n-A OUTPUT -j ISTIO_OUTPUT\nCOMMIT\n',
  'a chain declared twice': '*nat\n:OUTPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n',
  'a table that stands twice': '*nat\nCOMMIT\n*nat\nCOMMIT\n',
  'a table inside of a table': '*nat\n*mangle\nCOMMIT\nCOMMIT\n',
  'an end without a table': 'COMMIT\n',
  'a comment with a line break, which prints a line of its own': '*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m comment --comment "a\nb" -j RETURN\nCOMMIT\n',
  'a jump to nowhere': '*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j\nCOMMIT\n',
  'a table that iptables cannot show': "# Table `nat' is incompatible, use 'nft' tool.\n",
  'counters before the rules': '*nat\n:OUTPUT ACCEPT [0:0]\n[1:60] -A OUTPUT -j ISTIO_OUTPUT\nCOMMIT\n',
};

describe('parseRuleset', () => {
  test.each(Object.entries(unreadable))('%s is unknown, not empty', (_, text) => {
    const reading = parseRuleset(text);
    expect(redirectionOf(reading)).toBe('unknown');
    expect(planDetach(reading)).toEqual({ problem: expect.any(String) });
    expect(planRestore(reading)).toEqual({ problem: expect.any(String) });
  });

  test('no text is a namespace without tables', () => {
    expect(parseRuleset('')).toEqual({ known: true, tables: new Map() });
    expect(redirectionOf(parseRuleset(''))).toBe('absent');
  });

  test.each(readdirSync(goldens).filter((name) => name.endsWith('.save')))('%s is read: tables, built-in chains, every rule', (name) => {
    const text = readFileSync(join(goldens, name), 'utf8');
    const reading = parseRuleset(text);
    if (!reading.known) throw new Error(reading.why);
    const rules = [...reading.tables.values()].flatMap((table) => table.rules);
    expect(rules.map((rule) => `-A ${rule.chain} ${rule.spec}`)).toEqual(text.split('\n').filter((line) => line.startsWith('-A')));
    expect(reading.tables.get('nat')?.chains.get('OUTPUT')).toEqual({ builtIn: true });
    expect(reading.tables.get('nat')?.chains.get('ISTIO_OUTPUT')).toEqual({ builtIn: false });
  });

  test('arbitrary text never throws', () => {
    const line = fc.constantFrom(
      '*nat',
      ':OUTPUT ACCEPT [0:0]',
      ':X - [0:0]',
      '-A OUTPUT -j ISTIO_X',
      '-A X "',
      'COMMIT',
      '# c',
      '',
      '-A HOT_SWITCH_PARKED -j X',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(fc.oneof(line, fc.string())).map((lines) => lines.join('\n')),
        ),
        (text) => {
          expect(['attached', 'detached', 'partial', 'absent', 'unknown']).toContain(redirectionOf(parseRuleset(text)));
        },
      ),
    );
  });
});
