import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { authorityFault, faultOf, issueCertificates } from '../adapters/tls/issue.ts';
import type { Issued } from '../adapters/tls/issue.ts';
import { OWN_NAMESPACE } from '../api/keys.ts';
import { commaList, onOff, wholeNumber } from '../cmd/flag-schemas.ts';
import { describeFlags, parseFlags } from '../cmd/flags.ts';
import type { FlagValues } from '../cmd/flags.ts';

const SERVICE = `hot-switch-webhook.${OWN_NAMESPACE}`;
const FLAGS = {
  dir: {
    value: 'DIRECTORY',
    description: 'Where ca.crt, ca.key, tls.crt and tls.key are written.',
    default: 'certs',
    schema: z.string().min(1, 'must name a directory'),
  },
  host: {
    value: 'NAME,IP,…',
    description: 'DNS names and IP addresses of the webhook.',
    default: `${SERVICE}.svc,${SERVICE}.svc.cluster.local,localhost,127.0.0.1,::1`,
    repeatable: true,
    schema: commaList,
  },
  days: { value: 'NUMBER', description: 'How long the certificate lives.', default: '365', schema: wholeNumber(1, 825) },
  force: { description: 'Replace certificates that are still good, the CA as well.', schema: onOff },
} as const;
const FILES = { ca: 'ca.crt', caKey: 'ca.key', cert: 'tls.crt', key: 'tls.key' } as const;
const ALL_FILES = Object.values(FILES).join(', ');
const DAY_MS = 86_400_000;
/** A certificate that ends earlier is replaced. */
const LIFE_LEFT_MS = 14 * DAY_MS;

process.exitCode = await main();

async function main(): Promise<number> {
  // No environment: these files are made by hand, and a variable of the webhook must not direct them elsewhere.
  const parsed = parseFlags(FLAGS, process.argv.slice(2), {});
  if (parsed.kind === 'help') {
    process.stdout.write(`Makes a CA and a serving certificate for the webhook.\n\nusage: npm run certs -- [FLAGS]\n\n${describeFlags(FLAGS)}`);
    return 0;
  }
  if (parsed.kind === 'error') return refuse(2, `${parsed.message} (see npm run certs -- --help)`);
  try {
    return await keepOrIssue(parsed.values);
  } catch (error) {
    return refuse(1, (error as Error).message);
  }
}

async function keepOrIssue({ dir, host: hosts, days, force }: FlagValues<typeof FLAGS>): Promise<number> {
  const endMs = Date.now() + days * DAY_MS;
  const found = await readExisting(dir);
  if (found === 'part' && !force) return refuse(1, `${dir} holds a part of the files ${ALL_FILES}; restore the others, or replace all with --force`);
  if (typeof found === 'string' || force) {
    await write(dir, issueCertificates({ hosts, days }));
    return say(`wrote a new CA and a certificate for ${hosts.join(', ')} to ${dir}: ${ALL_FILES}, ${days} days`);
  }
  const fault = faultOf(found, hosts, Date.now() + Math.min(LIFE_LEFT_MS, (days * DAY_MS) / 2));
  if (fault === undefined) return say(`kept the certificate in ${dir}: it is good for ${hosts.join(', ')} (--force makes a new one)`);
  // The CA stays where it can: whoever trusts it already needs no change.
  const caFault = authorityFault(found, endMs);
  await write(dir, issueCertificates(caFault === undefined ? { hosts, days, authority: found } : { hosts, days }));
  const kept = caFault === undefined ? 'the CA is the same' : `the CA is new, too: ${caFault}`;
  return say(`replaced the certificate in ${dir}, since ${fault}; it is for ${hosts.join(', ')}, ${days} days; ${kept}`);
}

async function readExisting(dir: string): Promise<Issued | 'none' | 'part'> {
  const texts: Record<string, string> = {};
  for (const [name, file] of Object.entries(FILES)) {
    try {
      texts[name] = await readFile(join(dir, file), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  const found = Object.keys(texts).length;
  if (found === 0) return 'none';
  return found < Object.keys(FILES).length ? 'part' : (texts as unknown as Issued);
}

/** Each file appears complete or not at all: a webhook may be watching the directory. */
async function write(dir: string, issued: Issued): Promise<void> {
  await mkdir(dir, { recursive: true });
  const staged = Object.entries(FILES).map(([name, file]) => ({ name: name as keyof Issued, path: join(dir, file), temporary: join(dir, `.${file}.new`) }));
  for (const { name, temporary } of staged) {
    const mode = name === 'key' || name === 'caKey' ? 0o600 : 0o644;
    await writeFile(temporary, issued[name], { mode });
    // `mode` counts only for a new file, and less the umask.
    await chmod(temporary, mode);
  }
  for (const { path, temporary } of staged) await rename(temporary, path);
}

function say(sentence: string): number {
  process.stdout.write(`${sentence}\n`);
  return 0;
}

function refuse(status: number, sentence: string): number {
  process.stderr.write(`certs: ${sentence}\n`);
  return status;
}
