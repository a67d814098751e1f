import type { IncomingMessage } from 'node:http';
import { isUtf8 } from 'node:buffer';
import { HttpError } from './http-error.ts';
import { nestsDeeperThan } from './json-depth.ts';

export interface BodyLimits {
  /** Of one body. An object has at most 1.5 MiB in etcd (3 MiB over the wire), and an update carries two. */
  readonly bodyBytes: number;
  /** Of all bodies being received at a time. */
  readonly bufferedBytes: number;
  readonly depth: number;
  /** From the first look at a request to the end of its body. */
  readonly timeoutMs: number;
}

export const BODY_LIMITS: BodyLimits = { bodyBytes: 8 * 2 ** 20, bufferedBytes: 128 * 2 ** 20, depth: 200, timeoutMs: 10_000 };

/** How many further bytes are thrown away before a too large body is refused: a sender that is cut off may never read why. */
const DISCARD_FACTOR = 4;

/** Reads JSON bodies within limits; one reader for all requests of a server. Every refusal is an HttpError. */
export function createBodyReader(limits: BodyLimits): (request: IncomingMessage) => Promise<unknown> {
  let buffered = 0;

  function receive(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let received = 0;
    let kept = 0;
    return new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => {
        settle(() => reject(new HttpError(408, `the body did not arrive within ${limits.timeoutMs / 1000} s`, { connection: 'close' })));
      }, limits.timeoutMs);
      const settle = (outcome: () => void): void => {
        clearTimeout(timer);
        request.removeListener('data', onData);
        buffered -= kept;
        kept = 0;
        outcome();
      };
      const onData = (chunk: Buffer): void => {
        received += chunk.length;
        if (received > DISCARD_FACTOR * limits.bodyBytes) return settle(() => reject(tooLarge(limits.bodyBytes)));
        if (received > limits.bodyBytes) return undefined;
        if (buffered + chunk.length > limits.bufferedBytes) return settle(() => reject(tooMany()));
        chunks.push(chunk);
        kept += chunk.length;
        buffered += chunk.length;
        return undefined;
      };
      request.on('data', onData);
      request.once('end', () => settle(() => (received > limits.bodyBytes ? reject(tooLarge(limits.bodyBytes)) : resolve(Buffer.concat(chunks, received)))));
      request.once('error', (error) => settle(() => reject(error)));
      // A promise settles once; whatever comes after the first outcome is without effect.
      request.once('close', () => settle(() => reject(new HttpError(400, 'the sender went away before the end of the body'))));
    });
  }

  return async (request) => {
    checkHeaders(request, limits);
    const body = await receive(request);
    if (body.length === 0) throw new HttpError(400, 'the body is empty; an AdmissionReview is expected');
    if (!isUtf8(body)) throw new HttpError(400, 'the body is not UTF-8');
    if (nestsDeeperThan(body, limits.depth)) throw new HttpError(400, `the body nests deeper than ${limits.depth} levels`);
    try {
      return JSON.parse(body.toString('utf8')) as unknown;
    } catch {
      // The parser's own message quotes the body.
      throw new HttpError(400, 'the body is not JSON');
    }
  };
}

function checkHeaders(request: IncomingMessage, limits: BodyLimits): void {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpError(415, 'the content type must be application/json');
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw new HttpError(415, 'the body must not be compressed');
  if (Number(request.headers['content-length'] ?? 0) > DISCARD_FACTOR * limits.bodyBytes) throw tooLarge(limits.bodyBytes);
}

function tooMany(): HttpError {
  return new HttpError(429, 'too many bodies at a time; try again', { 'retry-after': '1', connection: 'close' });
}

function tooLarge(limitBytes: number): HttpError {
  return new HttpError(413, `the body is larger than ${limitBytes} bytes`, { connection: 'close' });
}
