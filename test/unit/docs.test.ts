import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What a page may leave out of the paths it names. */
const BASES: Readonly<Record<string, readonly string[]>> = {
  'README.md': [''],
  'ARCHITECTURE.md': ['', 'src'],
  'CONTRIBUTING.md': [''],
  'CHANGELOG.md': [''],
};
/** `NAME` stands for what the reader puts there. */
const PATH = /(?<![\w./<-])(?:[a-z][\w-]*\/)+[\w.-]+\.(?:ts|mjs|md|yaml|save)\b/g;

describe.each(Object.entries(BASES))('%s', (page, bases) => {
  const text = readFileSync(join(ROOT, page), 'utf8');

  test('names only files that exist', () => {
    const named = [...new Set(text.match(PATH))].filter((path) => !path.includes('NAME'));
    expect(named.filter((path) => !bases.some((base) => existsSync(join(ROOT, base, path))))).toEqual([]);
  });

  test('names only scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Readonly<Record<string, string>> };
    const named = Array.from(text.matchAll(/npm run (?:-s )?([\w:-]+)/g), ([, name = '']) => name);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  test('links only to what exists', () => {
    const links = Array.from(text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g), ([, link = '']) => link);
    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
  });
});
