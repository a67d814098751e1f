import { describe, expect, test } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { authorityFault, faultOf, issueCertificates } from '../../../../src/adapters/tls/issue.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.now();
const issued = issueCertificates({ hosts: ['hot-switch-webhook.hot-switch-system.svc', 'localhost', '127.0.0.1', '::1'], days: 30, nowMs: NOW_MS });
const other = issueCertificates({ hosts: ['localhost'], days: 30, nowMs: NOW_MS });

describe('issueCertificates', () => {
  test('makes a leaf below its CA, for every name and address', () => {
    const leaf = new X509Certificate(issued.cert);
    const ca = new X509Certificate(issued.ca);
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.subjectAltName).toBe('DNS:hot-switch-webhook.hot-switch-system.svc, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1');
    expect([leaf.ca, ca.ca]).toEqual([false, true]);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(leaf.validToDate.getTime()).toBeCloseTo(NOW_MS + 30 * DAY_MS, -4);
    expect(leaf.validFromDate.getTime()).toBeLessThan(NOW_MS);
  });

  test('never gives a serial number or a name of a CA twice', () => {
    const certificates = [issued.ca, issued.cert, other.ca, other.cert].map((pem) => new X509Certificate(pem));
    expect(new Set(certificates.map((certificate) => certificate.serialNumber)).size).toBe(4);
    expect(new X509Certificate(issued.ca).subject).not.toBe(new X509Certificate(other.ca).subject);
  });

  test('signs with the CA that is given', () => {
    const next = issueCertificates({ hosts: ['localhost'], days: 1, authority: issued });
    expect(next.ca).toBe(issued.ca);
    expect(new X509Certificate(next.cert).verify(new X509Certificate(issued.ca).publicKey)).toBe(true);
  });

  test.each(['', 'a b', 'a,b', '-a', 'a..b', '1.2.3.4/8'])('throws on the host %j', (host) => {
    expect(() => issueCertificates({ hosts: [host], days: 1, authority: issued })).toThrow('neither a DNS name nor an IP address');
  });

  test('throws without a host', () => {
    expect(() => issueCertificates({ hosts: [], days: 1, authority: issued })).toThrow('at least one host');
  });
});

describe('faultOf', () => {
  const soonMs = NOW_MS + DAY_MS;
  const cases: Record<string, { fault: string | undefined; want: string | undefined }> = {
    'a good pair': { fault: faultOf(issued, ['localhost', '127.0.0.1', '::1'], soonMs), want: undefined },
    'too little life': { fault: faultOf(issued, ['localhost'], NOW_MS + 31 * DAY_MS), want: 'it ends' },
    'a host that it is not for': { fault: faultOf(issued, ['localhost', '10.0.0.1'], soonMs), want: 'it is not for 10.0.0.1' },
    'another CA': { fault: faultOf({ ...issued, ca: other.ca }, ['localhost'], soonMs), want: 'it is not signed by its CA' },
    'another key': { fault: faultOf({ ...issued, key: other.key }, ['localhost'], soonMs), want: 'its key is another one' },
    'no PEM': { fault: faultOf({ ...issued, cert: 'x' }, ['localhost'], soonMs), want: 'it cannot be read' },
    'a CA that can sign': { fault: authorityFault(issued, soonMs), want: undefined },
    'a CA that ends before': { fault: authorityFault(issued, NOW_MS + 4000 * DAY_MS), want: 'it ends' },
    'a CA with another key': { fault: authorityFault({ ca: issued.ca, caKey: other.caKey }, soonMs), want: 'its key is another one' },
    'a leaf in place of a CA': { fault: authorityFault({ ca: issued.cert, caKey: issued.key }, soonMs), want: 'it is no CA' },
  };
  test.each(Object.entries(cases))('%s', (_name, { fault, want }) => {
    expect(fault?.slice(0, want?.length)).toBe(want);
  });
});
