export type Level = 'debug' | 'info' | 'warn' | 'error';
export const LEVELS: readonly Level[] = ['debug', 'info', 'warn', 'error'];

export type Fields = Readonly<Record<string, unknown>>;

/** Structured lines: a constant message, data as keys. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  with(fields: Fields): Logger;
}

/** A logger that writes one JSON object a line, e.g. to process.stderr. Errors become `{message, cause}`. */
export function createLogger(level: Level, write: (line: string) => void, bound: Fields = {}): Logger {
  const threshold = LEVELS.indexOf(level);
  const at =
    (own: Level) =>
    (message: string, fields: Fields = {}): void => {
      if (LEVELS.indexOf(own) < threshold) return;
      write(`${JSON.stringify({ time: new Date().toISOString(), level: own, message, ...bound, ...fields }, plainErrors)}\n`);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => createLogger(level, write, { ...bound, ...fields }),
  };
}

function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return value.cause === undefined ? value.message : { message: value.message, cause: value.cause };
}
