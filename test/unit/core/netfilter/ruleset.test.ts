import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { redirectionOf } from '../../../../src/core/netfilter/detach.ts';
import { parseRuleset } from '../../../../src/core/netfilter/ruleset.ts';
import { isMovable, withoutPlace, withPlace } from '../../../../src/core/netfilter/spec.ts';

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
    expect(parseRuleset(text)).toEqual({ known: false, why: expect.any(String) });
    expect(redirectionOf(parseRuleset(text))).toBe('unknown');
  });

  test('no text is a namespace without tables', () => {
    expect(parseRuleset('')).toEqual({ known: true, tables: new Map() });
    expect(redirectionOf(parseRuleset(''))).toBe('absent');
  });

  test.each(readdirSync(goldens).filter((name) => name.endsWith('.save')))('%s is read: tables, built-in chains, every rule with its target', (name) => {
    const text = readFileSync(join(goldens, name), 'utf8');
    const reading = parseRuleset(text);
    if (!reading.known) throw new Error(reading.why);
    const rules = [...reading.tables.values()].flatMap((table) => table.rules);
    expect(rules.map((rule) => `-A ${rule.chain} ${rule.spec}`)).toEqual(text.split('\n').filter((line) => line.startsWith('-A')));
    expect(rules.every((rule) => rule.target !== undefined && rule.spec.includes(`-j ${rule.target}`))).toBe(true);
    expect(reading.tables.get('nat')?.chains.get('OUTPUT')).toEqual({ builtIn: true });
    expect(reading.tables.get('nat')?.chains.get('ISTIO_OUTPUT')).toEqual({ builtIn: false });
  });

  test('a comment that looks like a jump is none', () => {
    const reading = parseRuleset('*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m comment --comment "-j ISTIO_OUTPUT"\n-A OUTPUT -m comment --comment -j\nCOMMIT\n');
    expect(reading.known && reading.tables.get('nat')?.rules.map((rule) => rule.target)).toEqual([undefined, undefined]);
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

describe('isMovable', () => {
  test.each([
    '-p tcp -j ISTIO_INBOUND',
    '-j ISTIO_OUTPUT',
    '-m conntrack --ctstate INVALID -j ISTIO_DROP',
    '! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_X',
    '-m comment --comment "somebody\'s rule, 100%" -j ISTIO_X',
  ])('%s', (spec) => expect(isMovable(spec)).toBe(true));

  test.each([
    ['-M /tmp/evil -j ISTIO_X', 'names a program'],
    ['--modprobe=/tmp/evil -j ISTIO_X', 'names a program'],
    ['-t filter -j ISTIO_X', 'names a table'],
    ['-m ../../tmp/evil -j ISTIO_X', 'names a module by path'],
    ['-m bpf --object-pinned /sys/fs/bpf/x -j ISTIO_X', 'opens a file'],
    ['-m comment --comment "a\\"b" -j ISTIO_X', 'has an escape'],
    ['-m comment --comment "a\u0007" -j ISTIO_X', 'has a control character'],
    ['-p  tcp -j ISTIO_X', 'is not printed as iptables prints'],
    ['-p "tcp" -j ISTIO_X', 'has a quote where none belongs'],
  ])('not %s: %s', (spec) => expect(isMovable(spec)).toBe(false));
});

test('withoutPlace takes back what withPlace put in, also where the rule has a comment of its own', () => {
  for (const spec of ['-j ISTIO_OUTPUT', '-p tcp -j ISTIO_INBOUND', '-i eth0 -p tcp -m tcp --dport 1 -m comment --comment "hot-switch OUTPUT 9" -j ISTIO_X']) {
    expect(withoutPlace(withPlace(spec, { chain: 'PREROUTING', position: 12 }))).toEqual({ spec, place: { chain: 'PREROUTING', position: 12 } });
  }
});
