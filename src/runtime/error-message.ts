import { isNativeError } from 'node:util/types';

/** What a thrown value says, on one line. Node gathers failed connection attempts of several addresses in one error without a message of its own. */
export function errorMessage(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.map(errorMessage).join('; ');
  return error.message.split('\n', 1)[0] ?? '';
}
