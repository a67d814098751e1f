/** A request that the API server refused or did not answer. The message names verb, path, status and the server's own message. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status; undefined: no (whole) answer. */
  readonly status: number | undefined;
  /** `reason` of the Status object, e.g. `Conflict`; ours are `TooLarge`, `LineTooLong` and `Silence`. */
  readonly reason: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** What Retry-After asks for. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, detail: ApiErrorDetail) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.status = detail.status;
    this.reason = detail.reason;
    this.retryable = detail.retryable;
    this.retryAfterMs = detail.retryAfterMs;
  }
}

export interface ApiErrorDetail {
  readonly status?: number | undefined;
  readonly reason?: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** The part of a Status object that we read (k8s.io/apimachinery meta/v1). */
interface Status {
  readonly message?: unknown;
  readonly reason?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown } | null;
}

const RETRYABLE: ReadonlySet<number> = new Set([401, 408, 425, 429, 500, 502, 503, 504]);

/** The error for an answer with status >= 300. `body` is whatever came, `retryAfter` the header: seconds or an HTTP date. */
export function errorOfAnswer(request: string, status: number, body: string, retryAfter: string | undefined): ApiError {
  const parsed = parseStatus(body);
  const reason = typeof parsed.reason === 'string' && parsed.reason !== '' ? parsed.reason : undefined;
  const said = typeof parsed.message === 'string' ? parsed.message : body.trim();
  return new ApiError(`${request}: HTTP ${status}${said === '' ? '' : `: ${said.slice(0, 1024)}`}`, {
    status,
    reason,
    // A conflict without AlreadyExists is a lost race: the next try reads or patches a newer object.
    retryable: RETRYABLE.has(status) || (status === 409 && reason === 'Conflict'),
    retryAfterMs: retryAfterMs(retryAfter) ?? secondsToMs(parsed.details?.retryAfterSeconds),
  });
}

function parseStatus(body: string): Status {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** Retry-After of a Status object in milliseconds; undefined when there is none. */
export function secondsToMs(seconds: unknown): number | undefined {
  return typeof seconds === 'number' && seconds > 0 && Number.isFinite(seconds) ? seconds * 1000 : undefined;
}
