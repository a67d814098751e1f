import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as keys from '../../../src/api/keys.ts';
import { POLICY_KEYS } from '../../../src/api/policy.ts';
import { REASONS } from '../../../src/api/reasons.ts';
import { generatedFiles } from '../../../src/tools/generated-files.ts';
import { lineDiff } from '../../../src/tools/line-diff.ts';
import { staleFiles, writeStale } from '../../../src/tools/stale-files.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PAGE = 'docs/reference.md';
const files = generatedFiles();
const page = files.get(PAGE) ?? '';

function run(file: string, ...argv: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, file), ...argv], { timeout: 20_000, env: {} }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

test('the generated files of the checkout are fresh (npm run generate makes them so)', async () => {
  const stale = await staleFiles(ROOT, files);
  expect(stale.flatMap(({ have, want }) => lineDiff(have, want))).toEqual([]);
});

describe('npm run generate', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'generate-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  test('a file that is missing is stale, and fresh once it was written', async () => {
    const stale = await staleFiles(dir, files);
    expect(stale).toEqual(Array.from(files, ([path, want]) => ({ path, have: '', want })));
    await writeStale(dir, stale);
    expect(await staleFiles(dir, files)).toEqual([]);
  });

  test('a file that cannot be read is an error, not a stale one', async () => {
    await writeFile(join(dir, 'docs'), 'not a folder');
    await expect(staleFiles(dir, files)).rejects.toThrow('ENOTDIR');
  });

  test('--check fails with the difference, and writes nothing', async () => {
    await writeStale(dir, await staleFiles(dir, files));
    const stale = page.replace('# Reference\n', '# Refrence\n');
    await writeFile(join(dir, PAGE), stale);
    expect(await run('src/tools/generate.ts', '--dir', dir, '--check')).toEqual({
      status: 1,
      stdout: '',
      stderr: `${PAGE} is stale; npm run generate writes it anew:\n- 2: # Refrence\n+ 2: # Reference\n`,
    });
    expect(await readFile(join(dir, PAGE), 'utf8')).toBe(stale);
  }, 30_000);
});

describe('the reference', () => {
  test('names every annotation, label, condition and reason', () => {
    const names = Object.values<unknown>(keys).filter((value): value is string => typeof value === 'string' && /^(?:agent\.)?hot-switch\.io\/./.test(value));
    expect(names).toContain(keys.BYPASS_RECORD);
    const all = [...names, ...POLICY_KEYS.map((key) => keys.PREFIX + key), ...Object.keys(REASONS)];
    expect(all.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  test('names every subcommand, and the flags that each of them has', async () => {
    const [program, agent] = await Promise.all([run('src/cmd/hot-switch.ts', '--help'), run('src/cmd/hot-switch.ts', 'agent', '--help')]);
    const subcommands = Array.from(program.stdout.matchAll(/^ {2}(\S+) {2,}\S/gm), ([, name]) => name);
    expect(Array.from(page.matchAll(/^## `hot-switch (\S+)`$/gm), ([, name]) => name)).toEqual(subcommands);
    const want = Array.from(agent.stdout.matchAll(/^ {2}(--.+)\n {8}(.+?)(?: \(default (.+)\))? \[(\w+)\]$/gm), ([, usage, meaning, fallback, env]) => {
      return `| \`${usage}\` | ${fallback === undefined ? '' : `\`${fallback}\``} | ${meaning} | \`${env}\` |`;
    });
    expect(want).toContainEqual(expect.stringContaining('--log-level'));
    const section = page.split('\n## ').find((text) => text.startsWith('`hot-switch agent`\n')) ?? '';
    expect(section.split('\n').filter((line) => line.startsWith('| `--'))).toEqual(want);
  }, 30_000);
});

const diffs: Readonly<Record<string, { before: string; after: string; want: readonly string[] }>> = {
  'equal texts differ in nothing': { before: 'a\nb\n', after: 'a\nb\n', want: [] },
  'a changed line is taken out and put in': { before: 'a\nb\nc', after: 'a\nB\nc', want: ['- 2: b', '+ 2: B'] },
  'lines at both ends': { before: 'b\nc', after: 'a\nb', want: ['+ 1: a', '- 2: c'] },
  'a line that moved': { before: 'a\nb\nc', after: 'c\na\nb', want: ['+ 1: c', '- 3: c'] },
  'everything is new': { before: '', after: 'a\n', want: ['+ 1: a'] },
};
test.each(Object.entries(diffs))('line diff: %s', (_sentence, { before, after, want }) => {
  expect(lineDiff(before, after)).toEqual(want);
});
