import { parseArgs } from 'node:util';
import type { z } from 'zod';
import { nearest } from '../core/nearest.ts';

/** One flag. Its text comes from `--name`, else from HOT_SWITCH_NAME, else from `default`. */
export interface Flag<S extends z.ZodType = z.ZodType> {
  /** Placeholder of the value in the help, e.g. `ADDRESS:PORT`; without one the flag is a switch, whose text is `true` or `false`. */
  readonly value?: string;
  readonly description: string;
  /** The default as a person would write it. Without one the schema gets undefined. */
  readonly default?: string;
  /** May be given more than once; the texts are joined by commas (use `commaList`). */
  readonly repeatable?: boolean;
  /** From the text to the value. Messages complete the sentence `--name …`, e.g. `must be a port`. */
  readonly schema: S;
}

/** Flags by their names, without the dashes. */
export type FlagTable = Readonly<Record<string, Flag>>;
export type FlagValues<F extends FlagTable> = { readonly [K in keyof F]: z.output<F[K]['schema']> };

export type ParsedFlags<F extends FlagTable> =
  | { readonly kind: 'values'; readonly values: FlagValues<F> }
  | { readonly kind: 'help' }
  /** One sentence that names the flag and the remedy. */
  | { readonly kind: 'error'; readonly message: string };

type Texts =
  | { readonly kind: 'texts'; readonly texts: ReadonlyMap<string, string> }
  | { readonly kind: 'help' }
  | { readonly kind: 'error'; readonly message: string };

/** Parses the arguments after the subcommand; never throws, and never reads the environment by itself. */
export function parseFlags<F extends FlagTable>(table: F, argv: readonly string[], env: Readonly<Record<string, string | undefined>>): ParsedFlags<F> {
  const given = readArguments(table, argv);
  if (given.kind !== 'texts') return given;
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(table)) {
    const fromArgument = given.texts.get(name);
    const fromEnvironment = env[environmentName(name)];
    const text = fromArgument ?? (fromEnvironment === '' ? undefined : fromEnvironment) ?? flag.default ?? (isSwitch(flag) ? 'false' : undefined);
    const result = flag.schema.safeParse(text);
    if (!result.success) {
      const source = fromArgument === undefined && fromEnvironment !== undefined ? environmentName(name) : `--${name}`;
      return { kind: 'error', message: complaint(source, flag, text, result.error) };
    }
    values[name] = result.data;
  }
  return { kind: 'values', values: values as FlagValues<F> };
}

/** Name of the environment variable of a flag, e.g. HOT_SWITCH_TLS_CERT for `tls-cert`. */
export function environmentName(flag: string): string {
  return `HOT_SWITCH_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** The flags as lines for the help, two spaces before each. */
export function describeFlags(table: FlagTable): string {
  return Object.entries(table)
    .map(([name, flag]) => {
      const fallback = flag.default === undefined || flag.default === '' ? '' : ` (default ${flag.default})`;
      const usage = flag.value === undefined ? `--${name}` : `--${name} ${flag.value}`;
      return `  ${usage}${flag.repeatable === true ? ' …' : ''}\n        ${flag.description}${fallback} [${environmentName(name)}]\n`;
    })
    .join('');
}

function readArguments(table: FlagTable, argv: readonly string[]): Texts {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = { help: { type: 'boolean', short: 'h' } };
  for (const [name, flag] of Object.entries(table)) options[name] = { type: isSwitch(flag) ? 'boolean' : 'string' };
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  // Help wins over every mistake beside it.
  if (tokens.some((token) => token.kind === 'option' && token.name === 'help')) return { kind: 'help' };
  const texts = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') return { kind: 'error', message: `unexpected argument ${quote(token.value)}; flags begin with --` };
    const flag = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (flag === undefined) return { kind: 'error', message: unknownFlag(table, token.rawName) };
    const text = textOf(flag, token.value, token.inlineValue === true);
    if (text === undefined) return { kind: 'error', message: `${token.rawName} needs a value: ${token.rawName} ${flag.value ?? 'VALUE'}` };
    const before = texts.get(token.name);
    if (before !== undefined && flag.repeatable !== true) return { kind: 'error', message: `${token.rawName} is given twice; give it once` };
    texts.set(token.name, before === undefined ? text : `${before},${text}`);
  }
  return { kind: 'texts', texts };
}

function textOf(flag: Flag, value: string | undefined, inline: boolean): string | undefined {
  if (isSwitch(flag)) return value ?? 'true';
  // `--listen --help` is a forgotten value, not the value "--help".
  if (value === undefined || (!inline && value.startsWith('--'))) return undefined;
  return value;
}

function unknownFlag(table: FlagTable, rawName: string): string {
  const near = nearest(rawName.replace(/^-+/, ''), Object.keys(table));
  return `unknown flag ${quote(rawName)}${near === undefined ? '' : `; did you mean --${near}?`}`;
}

function complaint(source: string, flag: Flag, text: string | undefined, error: z.ZodError): string {
  if (text === undefined) return `${source} is missing; give it as ${source} ${flag.value ?? ''}`.trimEnd();
  return `${source} ${error.issues[0]?.message ?? 'is invalid'}, not ${quote(text)}`;
}

function isSwitch(flag: Flag): boolean {
  return flag.value === undefined;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
