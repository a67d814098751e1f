import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A file that does not hold what it should; `have` is empty when there is none. */
export interface StaleFile {
  readonly path: string;
  readonly have: string;
  readonly want: string;
}

/** Which of the files (paths below `dir` to what they should hold) are missing or hold something else. Rejects when one cannot be read. */
export async function staleFiles(dir: string, files: ReadonlyMap<string, string>): Promise<readonly StaleFile[]> {
  const all = await Promise.all(Array.from(files, async ([path, want]) => ({ path, have: await readOrEmpty(join(dir, path)), want })));
  return all.filter(({ have, want }) => have !== want);
}

/** Writes what they should hold, folders included. */
export async function writeStale(dir: string, stale: readonly StaleFile[]): Promise<void> {
  for (const { path, want } of stale) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), want);
  }
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
