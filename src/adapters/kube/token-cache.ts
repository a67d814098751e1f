/** Tokens of service accounts are replaced long before they expire; client-go re-reads them every minute too (transport/token_source.go). */
const FRESH_MS = 60_000;

/**
 * A token source that asks `read` about once a minute, and at once for `renew`. Two callers share one read.
 * When `read` fails and a token is known, that one is given; else the error.
 */
export function cacheToken(
  read: () => Promise<string | undefined>,
  nowMs: () => number = () => performance.now(),
): (renew?: boolean) => Promise<string | undefined> {
  let known: { readonly token: string | undefined; readonly atMs: number } | undefined;
  let reading: Promise<string | undefined> | undefined;

  async function renewed(): Promise<string | undefined> {
    try {
      const token = await read();
      known = { token, atMs: nowMs() };
      return token;
    } catch (error) {
      if (known === undefined) throw error;
      return known.token;
    } finally {
      reading = undefined;
    }
  }

  return (renew = false) => {
    if (!renew && known !== undefined && nowMs() - known.atMs < FRESH_MS) return Promise.resolve(known.token);
    reading ??= renewed();
    return reading;
  };
}
