import type { Logger } from '../runtime/logger.ts';
import type { FlagTable, FlagValues } from './flags.ts';

/** One subcommand of the program; each file of this folder that has one exports it as `<name>Command`. */
export interface Command<F extends FlagTable = FlagTable> {
  readonly name: string;
  /** One line for `hot-switch --help`. */
  readonly summary: string;
  /** Further paragraphs for `hot-switch NAME --help`. */
  readonly description?: string;
  /** What it takes; `--log-level` and `--help` are added by the program. */
  readonly flags: F;
  /**
   * Does the work and gives the exit status; the values are parsed already.
   * `stop` is aborted at SIGTERM and SIGINT: end in good order then. A thrown `UsageError` becomes one sentence and status 2.
   */
  run(values: FlagValues<F>, log: Logger, stop: AbortSignal): Promise<number>;
}

/** Gives the command as it is; infers the types of the values from the flags. */
export function defineCommand<const F extends FlagTable>(command: Command<F>): Command<F> {
  return command;
}

/** Bad input that only shows after the flags were parsed, e.g. a file that is not there: one sentence with the remedy. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
