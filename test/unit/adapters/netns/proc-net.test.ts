import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { canonicalAddress, parseFibTrie, parseIfInet6, parseListeners, whenListenersEnd } from '../../../../src/adapters/netns/proc-net.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const socket = (local: string, state: string): string =>
  `   0: ${local} ${'0'.repeat(local.indexOf(':'))}:0000 ${state} 00000000:00000000 00:00000000 00000000  1337        0 57893 1 0000000000000000 100 0 0 10 0`;
const text = (...lines: readonly string[]): string => [HEADER, ...lines, ''].join('\n');

describe('parseListeners', () => {
  test.each([
    ['no text', ''],
    ['an error message', 'cat: /proc/1/net/tcp: No such file or directory\n'],
    ['a line cut short', text('   0: 0100007F:1F90 00000000:0000')],
    ['a line of another kind', text('hello')],
    ['an address of odd length', text(socket('0100007:1F90', '0A'))],
  ])('%s is unknown', (_, bad) => {
    expect(parseListeners(bad)).toEqual({ known: false, why: expect.any(String) });
  });

  test.each([
    ['00000000:3AAD', { port: 15021, address: 'any' }],
    ['0100007F:1F90', { port: 8080, address: 'loopback' }],
    ['0600007F:1F90', { port: 8080, address: 'loopback' }],
    ['0207C70A:0050', { port: 80, address: '10.199.7.2' }],
    ['00000000000000000000000000000000:3AAD', { port: 15021, address: 'any' }],
    ['00000000000000000000000001000000:1F90', { port: 8080, address: 'loopback' }],
    ['0000000000000000FFFF00000100007F:1F90', { port: 8080, address: 'loopback' }],
    ['0000000000000000FFFF00000207C70A:1F90', { port: 8080, address: '10.199.7.2' }],
    ['0000000000000000FFFF000000000000:1F90', { port: 8080, address: 'any' }],
    ['B80D01200000000000000000050000AC:01BB', { port: 443, address: '2001:db8::ac00:5' }],
  ])('%s listens as %j', (local, listener) => {
    expect(parseListeners(text(socket(local, '0A')))).toEqual({ known: true, listeners: [listener] });
  });

  test('only sockets that listen count: established, time-wait and closing ones do not', () => {
    const states = ['01', '02', '06', '08', '0B'].map((state) => socket('00000000:3AAD', state));
    expect(parseListeners(text(socket('00000000:0050', '0A'), ...states))).toEqual({ known: true, listeners: [{ port: 80, address: 'any' }] });
    expect(parseListeners(text())).toEqual({ known: true, listeners: [] });
  });

  test('arbitrary text never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (noise, header) => {
        expect(typeof parseListeners(header ? text(noise) : noise).known).toBe('boolean');
        parseFibTrie(noise);
        parseIfInet6(noise);
        canonicalAddress(noise);
      }),
    );
  });
});

test('reading stops at the first whole line that is no listener, and all listeners are read by then', () => {
  const listening = [socket('00000000:0050', '0A'), socket('00000000:0051', '0A')];
  const whole = text(...listening, socket('0207C70A:0050', '01'), socket('0207C70A:0050', '06'));
  const ends = Array.from(whole, (_, at) => whenListenersEnd(whole.slice(0, at))).filter((cut) => cut !== undefined);
  expect(ends.length).toBeGreaterThan(0);
  for (const cut of ends)
    expect(parseListeners(cut)).toEqual({
      known: true,
      listeners: [
        { port: 80, address: 'any' },
        { port: 81, address: 'any' },
      ],
    });
  expect(whenListenersEnd(text(...listening))).toBeUndefined();
  expect(whenListenersEnd(HEADER)).toBeUndefined();
});

describe('local addresses', () => {
  const trie = `Local:
  +-- 0.0.0.0/1 2 0 2
     +-- 10.199.7.0/24 2 0 2
        +-- 10.199.7.0/30 2 0 2
           |-- 10.199.7.0
              /24 link UNICAST
           |-- 10.199.7.2
              /32 host LOCAL
        |-- 10.199.7.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
`;
  test('of IPv4 are those that are local as a single address: neither subnet nor broadcast', () => {
    expect([...parseFibTrie(trie)]).toEqual(['10.199.7.2', '127.0.0.1']);
  });

  test('of IPv6 compare equal to a pod address in any spelling', () => {
    const local = parseIfInet6('fd000000000000000000000000000a05 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n');
    for (const spelling of ['fd00::a05', 'FD00:0:0::0a05', 'fd00::0.0.10.5']) expect(local.has(canonicalAddress(spelling) ?? '')).toBe(true);
    expect(local.has(canonicalAddress('fd00::a06') ?? '')).toBe(false);
  });

  test.each(['', 'localhost', '10.0.0', 'fd00:::1', '::1%eth0', '::1]/x', 'http://[::1]'])('%j is no address', (bad) => {
    expect(canonicalAddress(bad)).toBeUndefined();
  });
});
