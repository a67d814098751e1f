import type { Listener, ListenersReading } from '../../core/proc-net.ts';

/** Parsers of /proc/<pid>/net/*. Addresses are as little-endian machines print them. */

/** State LISTEN (include/net/tcp_states.h). */
const LISTEN = '0A';
const HEADER = /^\s*sl\s+local_address\s/;
const LINE = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /;

/** Parses the text of /proc/<pid>/net/tcp or tcp6; a text without the header, or with a line of another form, is unknown. */
export function parseListeners(text: string): ListenersReading {
  const [header = '', ...lines] = text.split('\n');
  if (!HEADER.test(header)) return { known: false, why: 'the header is missing' };
  const listeners: Listener[] = [];
  for (const [index, line] of lines.entries()) {
    if (line === '') continue;
    const [, address = '', port = '', state] = LINE.exec(line) ?? [];
    if (state === undefined) return { known: false, why: `line ${index + 2} is no socket` };
    if (state === LISTEN) listeners.push({ port: Number.parseInt(port, 16), address: addressOf(address) });
  }
  return { known: true, listeners };
}

/**
 * The text up to its last whole line when that line is no listener, else undefined. The kernel lists all listeners first
 * (net/ipv4/tcp_ipv4.c, tcp_seq_start), so that a reader may stop there.
 */
export function whenListenersEnd(text: string): string | undefined {
  const end = text.lastIndexOf('\n');
  const line = text.slice(text.lastIndexOf('\n', end - 1) + 1, end);
  const state = LINE.exec(line)?.[3];
  return state === undefined || state === LISTEN ? undefined : text.slice(0, end);
}

/** Local IPv4 addresses of a network namespace, from /proc/<pid>/net/fib_trie. */
export function parseFibTrie(text: string): ReadonlySet<string> {
  const addresses = new Set<string>();
  let leaf: string | undefined;
  for (const line of text.split('\n')) {
    leaf = /^\s+\|-- (\d{1,3}(?:\.\d{1,3}){3})$/.exec(line)?.[1] ?? leaf;
    if (leaf !== undefined && /^\s+\/32 host LOCAL$/.test(line)) addresses.add(leaf);
  }
  return addresses;
}

/** Local IPv6 addresses of a network namespace in their shortest form, from /proc/<pid>/net/if_inet6. */
export function parseIfInet6(text: string): ReadonlySet<string> {
  const lines = text.split('\n').map((line) => /^([0-9a-f]{32}) /.exec(line)?.[1]);
  return new Set(lines.filter((hex) => hex !== undefined).map((hex) => shortest(hex)));
}

/** An IP address in the form the parsers above use; undefined when it is none. */
export function canonicalAddress(ip: string): string | undefined {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(ip)) return ip;
  return /^[0-9A-Fa-f:.]{2,45}$/.test(ip) && ip.includes(':') ? URL.parse(`http://[${ip}]/`)?.hostname.slice(1, -1) : undefined;
}

function addressOf(hex: string): string {
  // Each 32-bit word is printed as a number of this machine's byte order.
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).toReversed());
  if (bytes.every((byte) => byte === '00')) return 'any';
  const mapped = bytes.length === 16 && bytes.slice(0, 12).join('') === '00000000000000000000FFFF';
  if (bytes.length === 4 || mapped) {
    const parts = bytes.slice(-4).map((byte) => Number.parseInt(byte, 16));
    if (mapped && parts.every((part) => part === 0)) return 'any';
    return parts[0] === 127 ? 'loopback' : parts.join('.');
  }
  const address = shortest(bytes.join(''));
  return address === '::1' ? 'loopback' : address;
}

function shortest(hex: string): string {
  const groups = hex.match(/.{4}/g) ?? [];
  return canonicalAddress(groups.join(':')) ?? groups.join(':');
}
