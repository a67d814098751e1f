import { describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../src/cmd/hot-switch.ts', import.meta.url));

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...argv: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...argv], { timeout: 20_000, env: {} }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

describe('hot-switch', () => {
  const refused: Record<string, { argv: string[]; want: string }> = {
    'without a subcommand': { argv: [], want: 'hot-switch: a subcommand is missing; see hot-switch --help\n' },
    'with a mistyped subcommand': { argv: ['webhok'], want: 'hot-switch: unknown subcommand "webhok"; did you mean webhook?\n' },
    'with a bad flag': {
      argv: ['webhook', '--listen', 'nowhere'],
      want: 'hot-switch: webhook: --listen must be ADDRESS:PORT, e.g. 0.0.0.0:9443 or [::]:9443, not "nowhere" (see hot-switch webhook --help)\n',
    },
    'with a certificate that is not there': {
      argv: ['webhook', '--tls-cert', '/nonexistent/tls.crt', '--tls-key', '/nonexistent/tls.key'],
      want: "hot-switch: webhook: --tls-cert /nonexistent/tls.crt and --tls-key /nonexistent/tls.key are no usable certificate (ENOENT: no such file or directory, open '/nonexistent/tls.crt'); npm run certs makes one\n",
    },
  };
  test.concurrent.each(Object.entries(refused))('%s says one sentence and ends with status 2', async (_name, { argv, want }) => {
    expect(await run(...argv)).toEqual({ status: 2, stdout: '', stderr: want });
  });

  test('--help lists the subcommands, and each has its own', async () => {
    const { status, stdout } = await run('--help');
    expect(status).toBe(0);
    const names = [...stdout.matchAll(/^ {2}(\w+) {2}/gm)].map(([, name]) => name ?? '');
    expect(names).toEqual(expect.arrayContaining(['webhook', 'controller', 'agent']));
    for (const name of names) {
      const help = await run(name, '--help');
      expect(help).toMatchObject({ status: 0, stderr: '' });
      expect(help.stdout).toContain(`usage: hot-switch ${name} [FLAGS]`);
      expect(help.stdout).toContain('HOT_SWITCH_LOG_LEVEL');
    }
  }, 30_000);

  test('--version', async () => {
    expect((await run('--version')).stdout).toMatch(/^hot-switch \d+\.\d+\.\d+\n$/);
  });
});
