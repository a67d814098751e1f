import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseAppProbes } from '../../../src/core/app-probes.ts';
import { healthCheckRequest, isServing } from '../../../src/core/grpc-health.ts';

const READY = '/app-health/shop/readyz';
const one = (entry: unknown): ReturnType<typeof parseAppProbes> => parseAppProbes(JSON.stringify({ [READY]: entry }));

describe('what is no probe is left out and named', () => {
  test.each<[string, unknown]>([
    ['null', null],
    ['no action', { timeoutSeconds: 1 }],
    ['two actions', { httpGet: { port: 80 }, tcpSocket: { port: 80 } }],
    ['a named port', { httpGet: { port: 'http' } }],
    ['port 0', { tcpSocket: { port: 0 } }],
    ['port 65536', { grpc: { port: 65_536 } }],
    ['a fraction of a port', { tcpSocket: { port: 80.5 } }],
    ['a negative timeout', { tcpSocket: { port: 80 }, timeoutSeconds: -1 }],
    ['a path that is no text', { httpGet: { port: 80, path: { toString: 'x' } } }],
    ['a path without end', { httpGet: { port: 80, path: '/'.repeat(10_000) } }],
  ])('%s', (_, entry) => {
    const { probers, problems } = one(entry);
    expect(probers.size).toBe(0);
    expect(problems).toEqual([`${READY}: no probe`]);
  });

  test.each(['/', '/app-health/a/b/readyz', '/app-health//readyz', '/app-health/a/other', '/x/app-health/a/readyz', '__proto__'])('path %s', (path) => {
    const { probers, problems } = parseAppProbes(`{${JSON.stringify(path)}:{"tcpSocket":{"port":80}}}`);
    expect(probers.size).toBe(0);
    expect(problems).toHaveLength(1);
  });

  test.each(['nonsense', '[]', 'null', '7', `{"${READY}":`, ' '.repeat(300_000), '['.repeat(200_000)])('the text %.20s', (text) => {
    expect(parseAppProbes(text)).toEqual({ probers: new Map(), problems: [expect.any(String)] });
  });

  test('the rest is kept', () => {
    const { probers, problems } = parseAppProbes(JSON.stringify({ '/x': {}, [READY]: { tcpSocket: { port: 80 } } }));
    expect([...probers.keys()]).toEqual([READY]);
    expect(problems).toHaveLength(1);
  });

  test('a flood of entries is cut', () => {
    const entries = Array.from({ length: 1000 }, (_, index) => [`/app-health/c${index}/livez`, { tcpSocket: { port: 80 } }]);
    const { probers, problems } = parseAppProbes(JSON.stringify(Object.fromEntries(entries)));
    expect(probers.size).toBe(256);
    expect(problems).toEqual(['more than 256 entries']);
  });
});

test('the three kinds, as the injector writes them', () => {
  const text =
    '{"/app-health/hello/readyz":{"httpGet":{"port":3333,"scheme":"HTTPS"}},"/app-health/hello/livez":{"httpGet":{"path":"/live?x=1","port":8080,"httpHeaders":[{"name":"a","value":"b"}]},"timeoutSeconds":2},' +
    '"/app-health/hello/startupz":{"grpc":{"port":9000,"service":null},"timeoutSeconds":1},"/app-lifecycle/hello/poststartz":{"tcpSocket":{"port":93}}}';
  expect(Object.fromEntries(parseAppProbes(text).probers)).toEqual({
    '/app-health/hello/readyz': { kind: 'http', port: 3333, path: '', secure: true, timeoutMs: 0 },
    '/app-health/hello/livez': { kind: 'http', port: 8080, path: '/live?x=1', secure: false, timeoutMs: 2000 },
    '/app-health/hello/startupz': { kind: 'grpc', port: 9000, service: '', timeoutMs: 1000 },
    '/app-lifecycle/hello/poststartz': { kind: 'tcp', port: 93, timeoutMs: 0 },
  });
});

test('a pod without probes has none, without a problem', () => {
  for (const text of [undefined, '', '{}']) expect(parseAppProbes(text)).toEqual({ probers: new Map(), problems: [] });
});

test('arbitrary text never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(parseAppProbes(text).probers.size).toBe(0);
    }),
  );
});

describe('the gRPC health messages', () => {
  test.each([
    ['', '0000000000'],
    ['shop', '00000000060a0473686f70'],
  ])('the request for service %j', (service, hex) => expect(Buffer.from(healthCheckRequest(service)).toString('hex')).toBe(hex));

  test('a service of 300 bytes has a length of two bytes', () => {
    expect(Buffer.from(healthCheckRequest('x'.repeat(300)).subarray(0, 8)).toString('hex')).toBe('000000012f0aac02');
  });

  test.each([
    ['00000000020801', true],
    ['00000000020802', false],
    ['0000000000', false],
    ['01000000020801', false],
    ['000000000208', false],
    ['', false],
  ])('the response %s: serving is %s', (hex, serving) => expect(isServing(Buffer.from(hex, 'hex'))).toBe(serving));
});
