import { parseSync } from '@swc/core';

/** One import of a file. */
export interface Import {
  readonly of: string;
  readonly kind: 'static' | 'type' | 'dynamic';
}

/** All imports and re-exports of a TypeScript source, wherever they stand. */
export function importsOf(source: string): readonly Import[] {
  const found: Import[] = [];
  visit(parseSync(source, { syntax: 'typescript', target: 'es2024' }), found);
  return found;
}

interface Node {
  readonly type?: unknown;
  readonly source?: { readonly value?: unknown } | null;
  readonly typeOnly?: unknown;
  readonly callee?: { readonly type?: unknown };
  readonly arguments?: unknown;
  readonly argument?: { readonly value?: unknown };
}

function visit(node: unknown, found: Import[]): void {
  if (typeof node !== 'object' || node === null) return;
  const { type, source, typeOnly, callee, argument, arguments: given } = node as Node;
  if (typeof source?.value === 'string') found.push({ of: source.value, kind: typeOnly === true ? 'type' : 'static' });
  if (type === 'TsImportType' && typeof argument?.value === 'string') found.push({ of: argument.value, kind: 'type' });
  if (type === 'CallExpression' && callee?.type === 'Import') found.push({ of: literalOf(given), kind: 'dynamic' });
  for (const child of Object.values(node)) visit(child, found);
}

function literalOf(given: unknown): string {
  const [first] = given as readonly { readonly expression: { readonly value?: unknown } }[];
  return typeof first?.expression.value === 'string' ? first.expression.value : '(computed)';
}

interface Room {
  /** Rooms it may import. */
  readonly rooms: readonly string[];
  /** Rooms, or files of the form `room/file.ts`, of which it may import types only. */
  readonly types?: readonly string[];
  /** npm packages it may import; absent: any. */
  readonly packages?: readonly string[];
  /** Whether it may import what Node brings along. */
  readonly node: boolean;
}

const ALL = ['api', 'core', 'runtime', 'adapters', 'webhook', 'controller', 'agent', 'cmd', 'tools'] as const;

/** Which room below src/ may import what. */
export const ROOMS: Readonly<Record<string, Room>> = {
  api: { rooms: ['api'], packages: ['zod'], node: false },
  core: { rooms: ['core', 'api'], packages: [], node: false },
  runtime: { rooms: ['runtime'], packages: [], node: true },
  webhook: { rooms: ['webhook', 'core', 'api', 'runtime'], node: true },
  controller: { rooms: ['controller', 'core', 'api', 'runtime'], node: true },
  agent: { rooms: ['agent', 'core', 'api', 'runtime'], node: true },
  adapters: { rooms: ['adapters', 'api', 'runtime'], types: ['core', 'webhook/ports.ts', 'controller/ports.ts', 'agent/ports.ts'], node: true },
  cmd: { rooms: ALL, node: true },
  tools: { rooms: ALL, node: true },
};

/** Why the file (its path below src/) may not have the import; undefined when it may. */
export function offence(file: string, one: Import): string | undefined {
  const room = roomOf(file);
  const rules = ROOMS[room];
  if (rules === undefined) return `${file}: the room ${room} has no rules`;
  const edge = `${file} -> ${one.of}`;
  if (one.of.startsWith('.')) {
    const target = new URL(one.of, `file:///${file}`).pathname.slice(1);
    const targetRoom = roomOf(target);
    if (rules.rooms.includes(targetRoom)) return undefined;
    if (rules.types?.includes(targetRoom) === true || rules.types?.includes(target) === true) {
      return one.kind === 'type' ? undefined : `${edge}: ${room} may import only types of ${targetRoom}`;
    }
    return `${edge}: ${room} may not import ${targetRoom === 'adapters' || ROOMS[targetRoom] !== undefined ? target : `${target}, outside src/`}`;
  }
  if (one.of === '(computed)') return `${edge}: the target of an import must be written out`;
  if (one.of.startsWith('node:')) return rules.node || one.kind === 'type' ? undefined : `${edge}: ${room} does no I/O`;
  if (one.of === '@kubernetes/client-node' && one.kind === 'static') return `${edge}: costs 75 MB; import its types, or import it dynamically`;
  if (rules.packages === undefined || rules.packages.includes(one.of)) return undefined;
  return `${edge}: ${room} may import ${rules.packages.length === 0 ? 'no package' : rules.packages.join(', ')}`;
}

function roomOf(path: string): string {
  return path.split('/', 1)[0] ?? '';
}
