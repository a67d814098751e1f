import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign as cryptoSign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';

const DAY_MS = 86_400_000;
/** Clocks differ; a certificate must be good at once on a node that is a little behind. */
const BACKDATE_MS = 3_600_000;
/** The CA outlives its leaves, so that the last of them stays good to its end. */
const CA_DAYS = 3650;

export interface IssueOptions {
  /** DNS names and IP addresses for the leaf; at least one. */
  readonly hosts: readonly string[];
  /** How long the leaf lives. */
  readonly days: number;
  /** Unix time of the start. */
  readonly nowMs?: number;
  /** CA to sign with; a new one is made when absent. */
  readonly authority?: Authority;
}

/** A CA: PEM of its certificate and its key. */
export interface Authority {
  readonly ca: string;
  readonly caKey: string;
}

/** PEM texts: the CA, the leaf below it, and the leaf's key. */
export interface Issued extends Authority {
  readonly cert: string;
  readonly key: string;
}

/** Makes a serving certificate (RSA-2048, SHA-256) for the hosts, and a CA unless one is given. Throws on a host that is neither a name nor an address. */
export function issueCertificates({ hosts, days, nowMs = Date.now(), authority: given }: IssueOptions): Issued {
  const [first] = hosts;
  if (first === undefined) throw new Error('a certificate needs at least one host');
  const altNames = hosts.map(alternativeName);
  const authority: Authority = given === undefined ? issueAuthority(nowMs) : { ca: given.ca, caKey: given.caKey };
  const leaf = newKey();
  const issuer = forge.pki.certificateFromPem(authority.ca);
  const cert = forge.pki.createCertificate();
  cert.publicKey = leaf.publicKey;
  cert.serialNumber = randomSerial();
  setValidity(cert, nowMs, days);
  // The name is for people; clients look at the alternative names. X.520 bounds it at 64 characters.
  cert.setSubject([{ name: 'commonName', value: first.slice(0, 64) }]);
  cert.setIssuer(issuer.subject.attributes);
  cert.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
  ]);
  sign(cert, authority.caKey);
  return { ...authority, cert: plainPem(forge.pki.certificateToPem(cert)), key: leaf.pem };
}

function issueAuthority(nowMs: number): Authority {
  const key = newKey();
  const cert = forge.pki.createCertificate();
  cert.publicKey = key.publicKey;
  cert.serialNumber = randomSerial();
  setValidity(cert, nowMs, CA_DAYS);
  // Two CAs must differ in their names, or a client that knows both may try only the wrong one.
  const name = [{ name: 'commonName', value: `hot-switch CA ${createHash('sha256').update(key.pem).digest('hex').slice(0, 12)}` }];
  cert.setSubject(name);
  cert.setIssuer(name);
  cert.setExtensions([
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  sign(cert, key.pem);
  return { ca: plainPem(forge.pki.certificateToPem(cert)), caKey: key.pem };
}

/** Node makes the key: forge's own generation takes seconds. PKCS#1 is the form that forge reads. */
function newKey(): { pem: string; publicKey: forge.pki.PublicKey } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return { pem: privateKey, publicKey: forge.pki.publicKeyFromPem(publicKey) };
}

/** Forge makes the certificate, Node the RSA signature: forge's own takes up to a second where its code is not optimised. */
function sign(cert: forge.pki.Certificate, keyPem: string): void {
  const key = {
    sign: (): string => cryptoSign('sha256', Buffer.from(forge.asn1.toDer(cert.tbsCertificate).getBytes(), 'binary'), keyPem).toString('binary'),
  };
  cert.sign(key as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create());
}

/** 16 random bytes; the first bit is 0 for a positive number, the second 1 so that the length is always the same. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function setValidity(cert: forge.pki.Certificate, nowMs: number, days: number): void {
  cert.validity.notBefore = new Date(nowMs - BACKDATE_MS);
  cert.validity.notAfter = new Date(nowMs + days * DAY_MS);
}

/** GeneralName of RFC 5280: 2 is dNSName, 7 is iPAddress. */
function alternativeName(host: string): { type: number; value?: string; ip?: string } {
  if (isIP(host) !== 0) return { type: 7, ip: host };
  if (!/^(?:\*\.)?(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/.test(host) || host.length > 253)
    throw new Error(`neither a DNS name nor an IP address: ${JSON.stringify(host.slice(0, 64))}`);
  return { type: 2, value: host };
}

function plainPem(pem: string): string {
  return pem.replaceAll('\r\n', '\n');
}

/** Whether the leaf serves every host, is signed by the CA, fits its key and lives beyond the given Unix time; else why not. */
export function faultOf(pair: { ca: string; cert: string; key: string }, hosts: readonly string[], untilMs: number): string | undefined {
  try {
    const cert = new X509Certificate(pair.cert);
    if (!cert.verify(new X509Certificate(pair.ca).publicKey)) return 'it is not signed by its CA';
    if (!cert.checkPrivateKey(createPrivateKey(pair.key))) return 'its key is another one';
    if (cert.validToDate.getTime() < untilMs) return `it ends ${cert.validToDate.toISOString()}`;
    const missing = hosts.find((host) => (isIP(host) === 0 ? cert.checkHost(host) : cert.checkIP(host)) === undefined);
    return missing === undefined ? undefined : `it is not for ${missing}`;
  } catch (error) {
    return `it cannot be read (${(error as Error).message})`;
  }
}

/** Whether the CA can sign leaves up to the given Unix time; else why not. */
export function authorityFault({ ca, caKey }: Authority, untilMs: number): string | undefined {
  try {
    const cert = new X509Certificate(ca);
    if (!cert.ca) return 'it is no CA';
    if (!cert.checkPrivateKey(createPrivateKey(caKey))) return 'its key is another one';
    return cert.validToDate.getTime() < untilMs ? `it ends ${cert.validToDate.toISOString()}` : undefined;
  } catch (error) {
    return `it cannot be read (${(error as Error).message})`;
  }
}
