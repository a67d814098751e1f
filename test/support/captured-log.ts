import { createLogger, type Logger } from '../../src/runtime/logger.ts';

export interface CapturedLog {
  readonly log: Logger;
  readonly lines: readonly Record<string, unknown>[];
}

/** A logger that keeps its lines, parsed. */
export function captureLog(): CapturedLog {
  const lines: Record<string, unknown>[] = [];
  return { lines, log: createLogger('debug', (line) => lines.push(JSON.parse(line) as Record<string, unknown>)) };
}
