import { describe, expect, test } from '@jest/globals';
import { isMovable, targetOf, withoutPlace, withPlace, wordsOf } from '../../../../src/core/netfilter/spec.ts';

describe('targetOf', () => {
  test.each([
    ['-p tcp -j ISTIO_INBOUND', 'ISTIO_INBOUND'],
    ['-g ISTIO_INBOUND', 'ISTIO_INBOUND'],
    ['-p tcp -j REDIRECT --to-ports 15001', 'REDIRECT'],
    ['-j LOG --log-prefix "-j ISTIO_X"', 'LOG'],
    ['-m comment --comment "-j ISTIO_X" -j RETURN', 'RETURN'],
    ['-m comment --comment -j -j RETURN', 'RETURN'],
    ['-m comment --comment -j', undefined],
    ['-m comment --comment "a \\"b\\" -j X"', undefined],
    ['', undefined],
  ])('of %s is %s', (spec, name) => expect(targetOf(spec)).toEqual({ ok: true, name }));

  test.each(['-j', '-m comment --comment "a', '-m comment --comment "a"b" -j X'])('of %s cannot be read', (spec) => {
    expect(targetOf(spec)).toEqual({ ok: false, why: expect.any(String) });
  });
});

test('wordsOf keeps quotes, and gives up on one that does not end', () => {
  expect(wordsOf('-m comment --comment "a \\" b" -j X')).toEqual(['-m', 'comment', '--comment', '"a \\" b"', '-j', 'X']);
  expect(wordsOf('"')).toBeUndefined();
  expect(wordsOf('a"b"')).toBeUndefined();
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
