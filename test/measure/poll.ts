import { parseResults } from './series.ts';
import type { Result } from './series.ts';

/** Reads a load client's results as they come. */
export interface ResultPoller {
  /** The results since the last call, at most 50,000; rejects if the client does not answer within the timeout or forgot results before they were read. */
  poll(): Promise<readonly Result[]>;
}

/** Polls GET /results of a load client (test/apps/client.ts) at a base address such as http://198.18.0.7:9000. A restarted client is read from its beginning. */
export function createResultPoller(base: string, timeoutMs = 5000): ResultPoller {
  let run: string | undefined;
  let since = 0;

  async function poll(): Promise<readonly Result[]> {
    const answer = await fetch(`${base}/results?since=${since}`, { signal: AbortSignal.timeout(timeoutMs) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the load client answered ${answer.status}: ${text.slice(0, 200)}`);
    const [answeredBy, next, missed] = [answer.headers.get('x-run') ?? '', Number(answer.headers.get('x-next')), Number(answer.headers.get('x-missed'))];
    if (run !== undefined && run !== answeredBy) {
      run = undefined;
      since = 0;
      return poll();
    }
    if (missed > 0) throw new Error(`the load client forgot ${missed} results before they were read`);
    run = answeredBy;
    since = next;
    return parseResults(text);
  }

  return { poll };
}
