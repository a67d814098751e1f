/** The text of one rule, as iptables-save prints it and iptables-restore reads it. */

/** Options of a rule that we are willing to write back; the text comes from a namespace that its tenant may have edited. */
const MOVABLE_OPTIONS: ReadonlySet<string> = new Set(
  (
    '! -p -s -d -i -o -m -j -g --dport --sport --dports --sports --ports --tcp-flags --icmp-type --icmpv6-type --comment ' +
    '--uid-owner --gid-owner --ctstate --ctdir --state --mark --src-range --dst-range --src-type --dst-type'
  ).split(' '),
);
const PLAIN_TOKEN = /^[A-Za-z0-9_.,:/+-]{1,128}$/;
const MODULE = /^[a-z0-9]{1,28}$/;
const QUOTED_TOKEN = /^"[\x20\x21\x23-\x5b\x5d-\x7e]{0,255}"$/;
/** Options whose value may look like an option, because it is free text. */
const TEXT_OPTIONS: ReadonlySet<string> = new Set(['--comment', '--log-prefix', '--nflog-prefix', '--string', '--hex-string']);

/** Splits a rule into its words, quotes kept; undefined when a quote does not end. */
export function wordsOf(spec: string): readonly string[] | undefined {
  const words: string[] = [];
  const WORD = /"(?:[^"\\]|\\.)*"(?= |$)|[^\s"]+(?= |$)/y;
  let at = 0;
  while (at < spec.length) {
    if (spec[at] === ' ') {
      at += 1;
      continue;
    }
    WORD.lastIndex = at;
    const word = WORD.exec(spec)?.[0];
    if (word === undefined) return undefined;
    words.push(word);
    at += word.length;
  }
  return words;
}

/** The chain or extension that a rule jumps or goes to; undefined for none, not ok when the rule cannot be read. */
export function targetOf(spec: string): { readonly ok: true; readonly name: string | undefined } | { readonly ok: false; readonly why: string } {
  const words = wordsOf(spec);
  if (words === undefined) return { ok: false, why: 'has a quote that does not end' };
  const at = words.findIndex((word, index) => (word === '-j' || word === '-g') && !TEXT_OPTIONS.has(words[index - 1] ?? ''));
  if (at === -1) return { ok: true, name: undefined };
  const name = words[at + 1];
  return name === undefined ? { ok: false, why: 'jumps nowhere' } : { ok: true, name };
}

/** Whether a rule is made only of words that are safe to hand to iptables-restore again (no -M, no -t, no file names). */
export function isMovable(spec: string): boolean {
  const words = wordsOf(spec);
  if (words === undefined || words.length > 64 || words.join(' ') !== spec) return false;
  return words.every((word, index) => {
    const previous = words[index - 1];
    if (word.startsWith('"')) return previous === '--comment' && QUOTED_TOKEN.test(word);
    if (word.startsWith('-') || word === '!') return MOVABLE_OPTIONS.has(word);
    return previous === '-m' ? MODULE.test(word) : PLAIN_TOKEN.test(word);
  });
}

export interface Place {
  readonly chain: string;
  /** 1 for the first rule of the chain, as iptables counts. */
  readonly position: number;
}

const MARK = /^"hot-switch ([A-Z]{1,28}) ([1-9]\d{0,3})"$/;

/** The rule with its place as a comment, to be parked. */
export function withPlace(spec: string, place: Place): string {
  const words = wordsOf(spec) ?? [];
  const at = words.findIndex((word) => word === '-m' || word === '-j' || word === '-g');
  // iptables-save prints addresses, interfaces and protocol first, then matches in their order: ours stays the first match.
  return words.toSpliced(at === -1 ? words.length : at, 0, '-m', 'comment', '--comment', `"hot-switch ${place.chain} ${place.position}"`).join(' ');
}

/** The inverse of withPlace; undefined when the rule carries no place. */
export function withoutPlace(spec: string): { readonly spec: string; readonly place: Place } | undefined {
  const words = wordsOf(spec) ?? [];
  for (const [index, word] of words.entries()) {
    const [, chain, position] = MARK.exec(word) ?? [];
    const head = words.slice(index - 3, index);
    if (chain === undefined || index < 3 || head.join(' ') !== '-m comment --comment') continue;
    return { spec: words.toSpliced(index - 3, 4).join(' '), place: { chain, position: Number(position) } };
  }
  return undefined;
}
