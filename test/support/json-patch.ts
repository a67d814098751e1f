import { isDeepStrictEqual } from 'node:util';
import type { JsonPatchOperation } from '../../src/core/json-patch.ts';

/** Applies a JSON patch as the API server does: whatever does not fit throws. Gives a new object. */
export function applyPatch<T>(target: T, patch: readonly JsonPatchOperation[]): T {
  const root: { value: unknown } = { value: structuredClone(target) };
  for (const operation of patch) apply(root, operation);
  return root.value as T;
}

function apply(root: { value: unknown }, operation: JsonPatchOperation): void {
  const path = ['value', ...operation.path.split('/').slice(1).map(unescape)];
  const last = path.pop() ?? '';
  let parent: unknown = root;
  for (const segment of path) {
    if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, segment)) throw new Error(`no parent at ${operation.path}`);
    parent = (parent as Record<string, unknown>)[segment];
  }
  if (Array.isArray(parent)) return applyToList(parent, last, operation);
  if (typeof parent !== 'object' || parent === null) throw new Error(`the parent of ${operation.path} holds nothing`);
  const map = parent as Record<string, unknown>;
  if (operation.op !== 'add' && !Object.hasOwn(map, last)) throw new Error(`nothing at ${operation.path}`);
  if (operation.op === 'remove') delete map[last];
  else if (operation.op === 'test') requireEqual(map[last], operation);
  else map[last] = structuredClone(operation.value);
}

function applyToList(list: unknown[], segment: string, operation: JsonPatchOperation): void {
  const index = segment === '-' && operation.op === 'add' ? list.length : Number(segment);
  const end = operation.op === 'add' ? list.length : list.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > end) throw new Error(`no index at ${operation.path}`);
  if (operation.op === 'remove') list.splice(index, 1);
  else if (operation.op === 'test') requireEqual(list[index], operation);
  else list.splice(index, operation.op === 'add' ? 0 : 1, structuredClone(operation.value));
}

function requireEqual(found: unknown, operation: { path: string; value: unknown }): void {
  if (!isDeepStrictEqual(found, operation.value)) throw new Error(`the test of ${operation.path} failed`);
}

function unescape(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}
