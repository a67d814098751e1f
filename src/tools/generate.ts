import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { onOff } from '../cmd/flag-schemas.ts';
import { describeFlags, parseFlags } from '../cmd/flags.ts';
import { generatedFiles } from './generated-files.ts';
import { lineDiff } from './line-diff.ts';
import { staleFiles, writeStale } from './stale-files.ts';

const FLAGS = {
  check: { description: 'Write nothing; fail with the difference when a file is stale.', schema: onOff },
  dir: {
    value: 'DIRECTORY',
    description: 'Where the files are; the checkout when not given.',
    schema: z.string().min(1, 'must name a directory').optional(),
  },
} as const;

process.exitCode = await main();

async function main(): Promise<number> {
  const parsed = parseFlags(FLAGS, process.argv.slice(2), {});
  if (parsed.kind === 'help') {
    process.stdout.write(`Writes the files that are made from code.\n\nusage: npm run generate -- [FLAGS]\n\n${describeFlags(FLAGS)}`);
    return 0;
  }
  if (parsed.kind === 'error') {
    process.stderr.write(`generate: ${parsed.message} (see npm run generate -- --help)\n`);
    return 2;
  }
  const { check, dir = fileURLToPath(new URL('../../', import.meta.url)) } = parsed.values;
  const stale = await staleFiles(dir, generatedFiles());
  if (stale.length === 0) process.stdout.write('the generated files are fresh\n');
  if (check) {
    for (const { path, have, want } of stale) process.stderr.write(`${path} is stale; npm run generate writes it anew:\n${lineDiff(have, want).join('\n')}\n`);
    return stale.length === 0 ? 0 : 1;
  }
  await writeStale(dir, stale);
  for (const { path } of stale) process.stdout.write(`wrote ${path}\n`);
  return 0;
}
