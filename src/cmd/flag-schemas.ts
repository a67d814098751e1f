import { z } from 'zod';
import { parseDuration } from '../api/duration.ts';
import { LEVELS } from '../runtime/logger.ts';
import type { Level } from '../runtime/logger.ts';

/** A switch: `true` or `false`. */
export const onOff = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');

/** Names separated by commas, without blanks around them; empty text is no name. */
export const commaList = z
  .string()
  .optional()
  .transform((text): readonly string[] => (text ?? '').split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()])));

/** A duration such as `500ms` or `2m`, in milliseconds. */
export function durationMs(minMs: number, maxMs: number): z.ZodType<number> {
  return z
    .string()
    .transform((text) => parseDuration(text) ?? Number.NaN)
    .refine((ms) => ms >= minMs && ms <= maxMs, `must be a duration from ${minMs}ms to ${maxMs}ms, e.g. 500ms or 10s`);
}

/** A whole number. */
export function wholeNumber(min: number, max: number): z.ZodType<number> {
  return z
    .string()
    .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN))
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `ADDRESS:PORT`, with brackets around an IPv6 address; port 0 takes a free one. */
export const listenAddress = z.string().transform((text, context): Address => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? Number.NaN);
  if (match === null || !(port <= 65_535)) {
    context.addIssue({ code: 'custom', message: 'must be ADDRESS:PORT, e.g. 0.0.0.0:9443 or [::]:9443' });
    return z.NEVER;
  }
  return { host: match[1] ?? match[2] ?? '', port };
});

export const logLevel = z.enum(LEVELS as readonly [Level, ...Level[]], `must be one of ${LEVELS.join(', ')}`);
