import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { importsOf, offence } from '../support/architecture.ts';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));

function offencesIn(file: string, source: string): string[] {
  return importsOf(source).flatMap((one) => offence(file, one) ?? []);
}

describe('the check itself', () => {
  const forbidden: Readonly<Record<string, { file: string; source: string; want: string }>> = {
    'api imports core': { file: 'api/a.ts', source: `import { x } from '../core/pod.ts';`, want: 'api/a.ts -> ../core/pod.ts: api may not import core/pod.ts' },
    'api imports a package': { file: 'api/a.ts', source: `import x from 'undici';`, want: 'api/a.ts -> undici: api may import zod' },
    'core imports zod': { file: 'core/a.ts', source: `import { z } from 'zod';`, want: 'core/a.ts -> zod: core may import no package' },
    'core does I/O': { file: 'core/a.ts', source: `import { readFile } from 'node:fs/promises';`, want: 'core/a.ts -> node:fs/promises: core does no I/O' },
    'core imports a type of runtime': {
      file: 'core/iptables/a.ts',
      source: `import type { Logger } from '../../runtime/logger.ts';`,
      want: 'core/iptables/a.ts -> ../../runtime/logger.ts: core may not import runtime/logger.ts',
    },
    'runtime imports api': {
      file: 'runtime/a.ts',
      source: `import '../api/keys.ts';`,
      want: 'runtime/a.ts -> ../api/keys.ts: runtime may not import api/keys.ts',
    },
    'a loop imports another, only a type': {
      file: 'agent/a.ts',
      source: `import type { X } from '../controller/ports.ts';`,
      want: 'agent/a.ts -> ../controller/ports.ts: agent may not import controller/ports.ts',
    },
    'a loop imports an adapter': {
      file: 'webhook/a.ts',
      source: `export { x } from '../adapters/kube/transport.ts';`,
      want: 'webhook/a.ts -> ../adapters/kube/transport.ts: webhook may not import adapters/kube/transport.ts',
    },
    'an adapter imports core logic': {
      file: 'adapters/kube/a.ts',
      source: `import { podKey } from '../../core/pod.ts';`,
      want: 'adapters/kube/a.ts -> ../../core/pod.ts: adapters may import only types of core',
    },
    'a type modifier inside braces leaves an import behind': {
      file: 'adapters/a.ts',
      source: `import { type Pod } from '../core/pod.ts';`,
      want: 'adapters/a.ts -> ../core/pod.ts: adapters may import only types of core',
    },
    'an adapter imports a loop': {
      file: 'adapters/a.ts',
      source: `import type { X } from '../agent/reconciler.ts';`,
      want: 'adapters/a.ts -> ../agent/reconciler.ts: adapters may not import agent/reconciler.ts',
    },
    'a re-export': { file: 'core/a.ts', source: `export * from '../agent/a.ts';`, want: 'core/a.ts -> ../agent/a.ts: core may not import agent/a.ts' },
    'a dynamic import deep inside': {
      file: 'core/a.ts',
      source: `export async function f() { if (1) { return await import('../cmd/agent.ts'); } }`,
      want: 'core/a.ts -> ../cmd/agent.ts: core may not import cmd/agent.ts',
    },
    'a type written as an import': {
      file: 'core/a.ts',
      source: `export type X = import('../agent/a.ts').X;`,
      want: 'core/a.ts -> ../agent/a.ts: core may not import agent/a.ts',
    },
    'the client is imported as a value': {
      file: 'cmd/a.ts',
      source: `import { KubeConfig } from '@kubernetes/client-node';`,
      want: 'cmd/a.ts -> @kubernetes/client-node: costs 75 MB; import its types, or import it dynamically',
    },
    'a target that is computed': {
      file: 'cmd/a.ts',
      source: 'void import(String(1));',
      want: 'cmd/a.ts -> (computed): the target of an import must be written out',
    },
    'a file outside src': {
      file: 'cmd/a.ts',
      source: `import '../../test/x.ts';`,
      want: 'cmd/a.ts -> ../../test/x.ts: cmd may not import test/x.ts, outside src/',
    },
    'a room without rules': { file: 'shed/a.ts', source: `import 'zod';`, want: 'shed/a.ts: the room shed has no rules' },
  };
  test.each(Object.entries(forbidden))('names: %s', (_sentence, { file, source, want }) => {
    expect(offencesIn(file, source)).toEqual([want]);
  });

  const allowed: Readonly<Record<string, { file: string; source: string }>> = {
    'types of core and of ports in an adapter': {
      file: 'adapters/kube/a.ts',
      source: `import type { Pod } from '../../core/pod.ts'; import type { X } from '../../agent/ports.ts'; import { y } from './transport.ts'; import 'undici';`,
    },
    'the client by type and dynamically': {
      file: 'adapters/a.ts',
      source: `import type { KubeConfig } from '@kubernetes/client-node'; export const f = () => import('@kubernetes/client-node');`,
    },
    'what only looks like an import': { file: 'core/a.ts', source: `// import '../agent/a.ts'\nexport const text = "import x from '../cmd/a.ts'";` },
    'everything in cmd': { file: 'cmd/a.ts', source: `import '../agent/a.ts'; import '../adapters/a.ts'; import 'node:fs'; import 'express';` },
  };
  test.each(Object.entries(allowed))('lets pass: %s', (_sentence, { file, source }) => {
    expect(offencesIn(file, source)).toEqual([]);
  });
});

test('dependencies below src/ point in one direction', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  expect(files).toContain('api/keys.ts');
  expect(files.flatMap((file) => offencesIn(file, readFileSync(`${SRC}${file}`, 'utf8')))).toEqual([]);
});
