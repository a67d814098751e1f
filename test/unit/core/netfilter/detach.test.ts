import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { planDetach, planRestore, redirectionOf, type Plan } from '../../../../src/core/netfilter/detach.ts';
import { parseRuleset } from '../../../../src/adapters/netns/iptables-save.ts';
import { applied, ruleset, withoutComments } from '../../../support/simulated-iptables.ts';

const golden = (name: string): string => withoutComments(readFileSync(join(import.meta.dirname, '../../../golden/iptables', `${name}.save`), 'utf8'));
const PROBE = (port: number): string => `-p tcp -m tcp --dport 15020 -m comment --comment "hot-switch probes" -j REDIRECT --to-ports ${port}`;

/** The text after a plan was carried out. */
function after(text: string, plan: Plan): string {
  if (!('restoreText' in plan)) throw new Error(`no change: ${JSON.stringify(plan)}`);
  return applied(text, plan.restoreText);
}
const detach = (text: string, probePort?: number): Plan => planDetach(ruleset(text), probePort === undefined ? {} : { probePort });
const restore = (text: string): Plan => planRestore(ruleset(text));

/** A nat table with the given rules of PREROUTING and of our chain. */
function nat(prerouting: readonly string[], parked?: readonly string[], more = ''): string {
  const chain = parked === undefined ? [] : [':HOT_SWITCH_PARKED - [0:0]'];
  const rules = [...prerouting.map((spec) => `-A PREROUTING ${spec}`), ...(parked ?? []).map((spec) => `-A HOT_SWITCH_PARKED ${spec}`)];
  return ['*nat', ':PREROUTING ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ...chain, ':ISTIO_INBOUND - [0:0]', ...rules, 'COMMIT', more].join('\n');
}
const JUMP = '-p tcp -j ISTIO_INBOUND';
const park = (place: string, spec = JUMP): string => spec.replace('-j', `-m comment --comment "hot-switch ${place}" -j`);

describe('what is refused', () => {
  const refused: Readonly<Record<string, string>> = {
    'rules that could not be read': 'nonsense',
    'a namespace without redirection': '*nat\n:PREROUTING ACCEPT [0:0]\n:ISTIO_INBOUND - [0:0]\nCOMMIT\n',
    'our chain emptied by somebody, nothing live': nat([], []),
    'a rule in our chain that carries no place': nat([], ['-p tcp -j ISTIO_INBOUND']),
    'a rule in our chain with an impossible place': nat([], [park('ELSEWHERE 1')]),
    'a rule in our chain that jumps elsewhere': nat([], [park('PREROUTING 1', '-p tcp -j ACCEPT')]),
    'a jump to our chain': nat(['-j HOT_SWITCH_PARKED'], [park('PREROUTING 1')]),
    'a hook that iptables-restore would take as a command to run': nat(['-M /tmp/x -j ISTIO_INBOUND']),
  };
  test.each(Object.entries(refused))('%s', (_, text) => {
    const reading = parseRuleset(text);
    expect(planDetach(reading)).toEqual({ problem: expect.any(String) });
    expect(planRestore(reading)).toEqual({ problem: expect.any(String) });
    expect(['unknown', 'absent']).toContain(redirectionOf(reading));
  });

  test('a restore whose chain of Istio is gone', () => {
    expect(restore(nat([], [park('PREROUTING 1', '-p tcp -j ISTIO_GONE')]))).toEqual({ problem: expect.stringContaining('PREROUTING') });
  });

  test.each([0, 70_000, 1.5, Number.NaN])('probe port %d', (port) => {
    expect(detach(golden('redirect'), port)).toEqual({ problem: expect.any(String) });
  });
});

describe('goldens', () => {
  test('the whole text for the default rules of Istio', () => {
    expect(detach(golden('redirect'), 15920)).toEqual({
      restoreText: `*nat
:HOT_SWITCH_PARKED - [0:0]
-A HOT_SWITCH_PARKED -p tcp -m comment --comment "hot-switch PREROUTING 1" -j ISTIO_INBOUND
-A HOT_SWITCH_PARKED -m comment --comment "hot-switch OUTPUT 1" -j ISTIO_OUTPUT
-D PREROUTING -p tcp -j ISTIO_INBOUND
-D OUTPUT -j ISTIO_OUTPUT
-I PREROUTING 1 ${PROBE(15920)}
COMMIT
`,
    });
  });

  const hooks: Readonly<Record<string, readonly string[]>> = {
    redirect: ['nat PREROUTING 1', 'nat OUTPUT 1'],
    'invalid-drop': ['mangle PREROUTING 1', 'nat PREROUTING 2', 'nat OUTPUT 2'],
    'dns-capture': ['raw PREROUTING 1', 'raw OUTPUT 1', 'nat PREROUTING 1', 'nat OUTPUT 1'],
    tproxy: ['mangle PREROUTING 1', 'nat OUTPUT 1'],
    'foreign-rules': ['nat PREROUTING 2', 'nat PREROUTING 4', 'nat OUTPUT 2'],
  };
  test.each(Object.entries(hooks))('%s: detach parks exactly %j, restore gives back every byte', (name, places) => {
    const before = golden(name);
    const bypassed = after(before, detach(before, 15920));
    expect(redirectionOf(ruleset(before))).toBe('attached');
    expect(redirectionOf(ruleset(bypassed))).toBe('detached');
    const parked = [...ruleset(bypassed).tables].flatMap(([table, { rules }]) =>
      rules.filter((rule) => rule.chain === 'HOT_SWITCH_PARKED').map((rule) => `${table} ${/hot-switch (\S+ \d+)/.exec(rule.spec)?.[1]}`),
    );
    expect(parked).toEqual(places);
    expect(bypassed).not.toMatch(/^-A (?!ISTIO_|HOT_SWITCH_)\S+ .*-j ISTIO_/m);
    expect(bypassed).toContain(`:POSTROUTING ACCEPT [0:0]\n:HOT_SWITCH_PARKED - [0:0]\n`);
    expect(/^-A PREROUTING .*$/m.exec(bypassed.slice(bypassed.indexOf('*nat')))?.[0]).toBe(`-A PREROUTING ${PROBE(15920)}`);
    expect(after(bypassed, restore(bypassed))).toBe(before);
  });

  test('twice changes nothing', () => {
    const before = golden('foreign-rules');
    const bypassed = after(before, detach(before, 15920));
    expect(detach(bypassed, 15920)).toEqual({ already: true });
    expect(restore(before)).toEqual({ already: true });
  });
});

describe('the probe redirect follows the wanted port', () => {
  const before = golden('foreign-rules');
  const bypassed = after(before, detach(before));
  test.each([
    ['added to a bypass', undefined, 15920],
    ['moved to the port of a new agent', 15920, 15921],
    ['taken out', 15920, undefined],
  ])('%s', (_, from, to) => {
    const start = from === undefined ? bypassed : after(bypassed, detach(bypassed, from));
    const end = after(start, detach(start, to));
    expect(end).toBe(to === undefined ? bypassed : after(before, detach(before, to)));
    expect(after(end, restore(end))).toBe(before);
  });

  test('put back to the first place, and once, when somebody came before it or doubled it', () => {
    const start = nat(['-p udp -j RETURN', PROBE(15920), PROBE(15920)], [park('PREROUTING 1')]);
    expect(after(start, detach(start, 15920))).toBe(after(nat([PROBE(15920), '-p udp -j RETURN'], [park('PREROUTING 1')]), { restoreText: '' }));
  });
});

describe('a partial state is repaired by both, without doubling a rule', () => {
  const partial: Readonly<Record<string, { readonly text: string; readonly detached: readonly string[]; readonly attached: readonly string[] }>> = {
    'somebody put the parked jump back': { text: nat([JUMP], [park('PREROUTING 1')]), detached: [], attached: [JUMP] },
    'somebody put it back at another place: a bypass keeps the parked place': {
      text: nat(['-p udp -j RETURN', JUMP], [park('PREROUTING 1')]),
      detached: ['-p udp -j RETURN'],
      attached: ['-p udp -j RETURN', JUMP],
    },
    'another jump came while one is parked': {
      text: nat(['-j ISTIO_INBOUND'], [park('PREROUTING 1')]),
      detached: [],
      attached: [JUMP, '-j ISTIO_INBOUND'],
    },
    'an empty chain of ours beside a live jump': { text: nat([JUMP], []), detached: [], attached: [JUMP] },
    'a forgotten probe redirect before a live jump': { text: nat([PROBE(1), JUMP]), detached: [], attached: [JUMP] },
    'the foreign rules before the hook are gone': { text: nat([JUMP], [park('PREROUTING 7', '-p tcp -j ISTIO_INBOUND')]), detached: [], attached: [JUMP] },
  };
  test.each(Object.entries(partial))('%s', (_, { text, detached, attached }) => {
    const rules = (end: string): readonly string[] =>
      [...ruleset(end).tables.values()].flatMap((table) => table.rules.filter((rule) => rule.chain === 'PREROUTING').map((rule) => rule.spec));
    expect(redirectionOf(ruleset(text))).toBe('partial');
    const bypassed = after(text, detach(text));
    expect(redirectionOf(ruleset(bypassed))).toBe('detached');
    expect(rules(bypassed)).toEqual(detached);
    const direct = after(text, restore(text));
    expect(redirectionOf(ruleset(direct))).toBe('attached');
    expect(rules(direct)).toEqual(attached);
    expect(direct).not.toContain('hot-switch');
  });

  test('one table detached and the other not', () => {
    const before = golden('dns-capture');
    const bypassed = after(before, detach(before));
    const mixed = `${bypassed.slice(0, bypassed.indexOf('*nat'))}${before.slice(before.indexOf('*nat'))}`;
    expect(redirectionOf(ruleset(mixed))).toBe('partial');
    expect(after(mixed, detach(mixed))).toBe(bypassed);
    expect(after(mixed, restore(mixed))).toBe(before);
  });

  test('a place beyond the end of the chain becomes its end', () => {
    const text = nat(['-p udp -j RETURN'], [park('PREROUTING 5'), park('PREROUTING 9', '-j ISTIO_INBOUND')]);
    expect(after(text, restore(text))).toBe(after(nat(['-p udp -j RETURN', JUMP, '-j ISTIO_INBOUND']), { restoreText: '' }));
  });
});

const foreign = fc.constantFrom('-p udp -j RETURN', '-i eth7 -j RETURN', '-m comment --comment "a b" -j ACCEPT', PROBE(15920).replace('probes', 'other'));
const hook = fc.constantFrom(JUMP, '-j ISTIO_INBOUND', '-i eth7 -p tcp -j ISTIO_INBOUND', '-m comment --comment "x y" -g ISTIO_INBOUND');
const chain = fc.array(fc.oneof(foreign, hook), { maxLength: 12 });

describe('for any chain of foreign rules and hooks, equal ones included', () => {
  test('detach and restore is identity; detach twice is already; the order of the rest stays', () => {
    fc.assert(
      fc.property(chain, hook, fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }), (rules, one, probePort) => {
        const before = after(nat([...rules, one]), { restoreText: '' });
        const bypassed = after(before, detach(before, probePort));
        expect(redirectionOf(ruleset(bypassed))).toBe('detached');
        expect(detach(bypassed, probePort)).toEqual({ already: true });
        expect(after(bypassed, restore(bypassed))).toBe(before);
      }),
    );
  });

  test('whatever others add or remove meanwhile, both plans apply, end whole and lose no hook', () => {
    fc.assert(
      fc.property(chain, hook, chain, (rules, one, now) => {
        const bypassed = after(nat([...rules, one]), detach(nat([...rules, one])));
        const parked = [...ruleset(bypassed).tables.values()].flatMap((table) =>
          table.rules.filter((rule) => rule.chain === 'HOT_SWITCH_PARKED').map((rule) => rule.spec),
        );
        const text = nat(now, parked);
        const again = detach(text);
        const end = 'restoreText' in again ? after(text, again) : text;
        expect(redirectionOf(ruleset(end))).toBe('detached');
        const direct = after(end, restore(end));
        expect(redirectionOf(ruleset(direct))).toBe('attached');
        for (const spec of new Set([...rules, one, ...now])) {
          const count = (list: readonly string[]): number => list.filter((other) => other === spec).length;
          const there = count([...ruleset(direct).tables.values()].flatMap((table) => table.rules.map((rule) => rule.spec)));
          // Foreign rules are what they are now; of hooks there are as many as on the side that has more.
          expect(there).toBe(/ISTIO/.test(spec) ? Math.max(count([...rules, one]), count(now)) : count(now));
        }
      }),
    );
  });
});
