import { isNativeError } from 'node:util/types';
import { request, type Dispatcher } from 'undici';
import { FIELD_MANAGER } from '../../api/keys.ts';
import { errorMessage } from '../../runtime/error-message.ts';
import { ApiError, errorOfAnswer } from './api-error.ts';
import type { Connection } from './connection.ts';
import { createDeadline, type Deadline } from './deadline.ts';
import { LineTooLong, splitLines } from './lines.ts';
import { createPool } from './pool.ts';

export { ApiError };

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Until the whole answer is there (of a stream: its headers); default 10 s. */
  readonly timeoutMs?: number;
}

export type PatchKind = 'json' | 'merge' | 'strategic';

/** Plain JSON in and out. Every failure is an ApiError; nothing is retried but as said at each place. Paths start with `/api`. */
export interface KubeApi {
  get<T>(path: string, options?: RequestOptions): Promise<T>;
  create<T>(path: string, body: unknown, options?: RequestOptions): Promise<T>;
  patch<T>(path: string, kind: PatchKind, body: unknown, options?: RequestOptions): Promise<T>;
  /** The lines of a watch; ends with the answer, throws ApiError when it breaks or when nothing comes for `silenceMs`. */
  stream(path: string, options: RequestOptions & { readonly silenceMs: number }): Promise<AsyncIterable<string>>;
  /** Ends all requests and connections. */
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** Twice the largest page seen at 500 pods of 25 KB each, with room for large objects. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;
const MAX_ERROR_BODY_BYTES = 256 * 1024;
const MAX_LINE_BYTES = 4 * 1024 * 1024;

const CONTENT_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const satisfies Record<PatchKind, string>;

/** Resets of a connection that was kept alive look like these (undici, libuv). */
const RESETS: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly contentType?: string;
}

export interface KubeApiOptions {
  readonly userAgent?: string;
  readonly maxBodyBytes?: number;
  readonly maxLineBytes?: number;
}

/** A client for one API server over one pool of connections. */
export function createKubeApi(connection: Connection, options: KubeApiOptions = {}): KubeApi {
  const { userAgent = 'hot-switch', maxBodyBytes = MAX_BODY_BYTES, maxLineBytes = MAX_LINE_BYTES } = options;
  const server = new URL(connection.server);
  const basePath = server.pathname.replace(/\/+$/, '');
  const pool = createPool(connection);

  /** Sends once; once more after a 401 with a fresh token, and a GET once more after a reset (nothing of it can have been done twice). */
  async function send(call: Call, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    const answer = await sendOnce(call, deadline, false).catch((error: unknown) => {
      if (call.method !== 'GET' || deadline.signal.aborted || !RESETS.has(codeOf(error))) throw error;
      return sendOnce(call, deadline, false);
    });
    if (answer.statusCode !== 401 || connection.bearerToken === undefined) return answer;
    await answer.body.dump();
    return sendOnce(call, deadline, true);
  }

  async function sendOnce(call: Call, deadline: Deadline, renewToken: boolean): Promise<Dispatcher.ResponseData> {
    const token = await connection.bearerToken?.(renewToken);
    const search = new URLSearchParams(call.query).toString();
    return request(`${server.origin}${basePath}${call.path}${search === '' ? '' : `?${search}`}`, {
      dispatcher: pool,
      method: call.method,
      signal: deadline.signal,
      headers: {
        accept: 'application/json',
        'user-agent': userAgent,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(call.contentType !== undefined && { 'content-type': call.contentType }),
      },
      ...(call.body !== undefined && { body: call.body }),
    });
  }

  /** The answer when it is a good one; else throws ApiError. */
  async function open(call: Call, deadline: Deadline): Promise<Dispatcher.ResponseData> {
    const answer = await send(call, deadline);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const body = await readText(answer.body, MAX_ERROR_BODY_BYTES).catch(() => '');
    throw errorOfAnswer(nameOf(call), answer.statusCode, body, headerOf(answer, 'retry-after'));
  }

  async function exchange<T>(call: Call, options: RequestOptions): Promise<T> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const deadline = createDeadline(timeoutMs, options.signal);
    try {
      const answer = await open(call, deadline);
      const text = await readText(answer.body, maxBodyBytes);
      return parseBody(call, answer.statusCode, text) as T;
    } catch (error) {
      throw toApiError(call, error, deadline, `no whole answer within ${timeoutMs} ms`);
    } finally {
      deadline.release();
    }
  }

  async function stream(path: string, options: RequestOptions & { readonly silenceMs: number }): Promise<AsyncIterable<string>> {
    const call: Call = { method: 'GET', path, query: options.query ?? {} };
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const deadline = createDeadline(timeoutMs, options.signal);
    try {
      const answer = await open(call, deadline);
      deadline.renew(options.silenceMs);
      return watched(call, answer.body, deadline, { silenceMs: options.silenceMs, maxLineBytes });
    } catch (error) {
      deadline.release();
      throw toApiError(call, error, deadline, `no answer within ${timeoutMs} ms`);
    }
  }

  return {
    get: (path, options = {}) => exchange({ method: 'GET', path, query: options.query ?? {} }, options),
    create: (path, body, options = {}) => exchange({ method: 'POST', path, ...write('application/json', body, options) }, options),
    patch: (path, kind, body, options = {}) => exchange({ method: 'PATCH', path, ...write(CONTENT_TYPES[kind], body, options) }, options),
    stream,
    close: () => pool.destroy(),
  };
}

function write(contentType: string, body: unknown, options: RequestOptions): Pick<Call, 'query' | 'body' | 'contentType'> {
  return { query: { fieldManager: FIELD_MANAGER, ...options.query }, body: JSON.stringify(body), contentType };
}

/** Hands the lines on; each renews the deadline. */
async function* watched(
  call: Call,
  body: Dispatcher.ResponseData['body'],
  deadline: Deadline,
  bounds: { readonly silenceMs: number; readonly maxLineBytes: number },
): AsyncGenerator<string, void, void> {
  try {
    for await (const line of splitLines(body, bounds.maxLineBytes)) {
      deadline.renew(bounds.silenceMs);
      yield line;
    }
  } catch (error) {
    if (deadline.expired) throw new ApiError(`${nameOf(call)}: nothing came for ${bounds.silenceMs} ms`, { reason: 'Silence', retryable: true, cause: error });
    throw toApiError(call, error, deadline, '');
  } finally {
    deadline.release();
    // Also when the reader leaves early: an open answer would keep its connection.
    deadline.abort();
    body.destroy();
  }
}

async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new BodyTooLarge(`the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

class BodyTooLarge extends Error {}

function parseBody(call: Call, status: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError(`${nameOf(call)}: HTTP ${status}, and the answer is not JSON`, { status, retryable: true, cause });
  }
}

function toApiError(call: Call, error: unknown, deadline: Deadline, late: string): ApiError {
  if (error instanceof ApiError) return error;
  const name = nameOf(call);
  if (error instanceof BodyTooLarge) return new ApiError(`${name}: ${error.message}`, { reason: 'TooLarge', retryable: false, cause: error });
  if (error instanceof LineTooLong) return new ApiError(`${name}: ${error.message}`, { reason: 'LineTooLong', retryable: false, cause: error });
  if (deadline.expired) return new ApiError(`${name}: ${late}`, { retryable: true, cause: error });
  if (deadline.signal.aborted) return new ApiError(`${name}: aborted`, { retryable: false, cause: error });
  return new ApiError(`${name}: no answer: ${errorMessage(error)}`, { retryable: !codeOf(error).startsWith('UND_ERR_DESTROYED'), cause: error });
}

function nameOf(call: Call): string {
  return `${call.method} ${call.path}`;
}

function codeOf(error: unknown): string {
  return isNativeError(error) && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function headerOf(answer: Dispatcher.ResponseData, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
