import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { commaList, durationMs, listenAddress, onOff, wholeNumber } from '../../../src/cmd/flag-schemas.ts';
import { describeFlags, environmentName, parseFlags } from '../../../src/cmd/flags.ts';

const TABLE = {
  listen: { value: 'ADDRESS:PORT', description: 'Where to listen.', default: '0.0.0.0:9443', schema: listenAddress },
  node: { value: 'NAME', description: 'Own node.', schema: z.string().min(1, 'must be a name') },
  'probe-limit': { value: 'NUMBER', description: 'Limit.', default: '3', schema: wholeNumber(1, 10) },
  'drain-delay': { value: 'DURATION', description: 'Delay.', default: '3s', schema: durationMs(0, 60_000) },
  allow: { value: 'NAMESPACE', description: 'Namespaces.', repeatable: true, schema: commaList },
  quiet: { description: 'Says less.', schema: onOff },
} as const;
const NODE = ['--node', 'n1'];

describe('bad input is one sentence that names the flag and the remedy', () => {
  const cases: Record<string, { argv: string[]; env?: Record<string, string>; want: string }> = {
    'an unknown flag that is like one': { argv: ['--listn', ':1'], want: 'unknown flag "--listn"; did you mean --listen?' },
    'an unknown flag that is like none': { argv: ['--zzzzzzzzzz'], want: 'unknown flag "--zzzzzzzzzz"' },
    'a short flag': { argv: ['-x'], want: 'unknown flag "-x"' },
    'a name that JavaScript knows': { argv: ['--constructor'], want: 'unknown flag "--constructor"' },
    'an argument without dashes': { argv: ['start'], want: 'unexpected argument "start"; flags begin with --' },
    'a flag without its value': { argv: ['--node'], want: '--node needs a value: --node NAME' },
    'a flag in the place of a value': { argv: ['--node', '--quiet'], want: '--node needs a value: --node NAME' },
    'a flag given twice': { argv: ['--node', 'a', '--node', 'b'], want: '--node is given twice; give it once' },
    'a missing flag': { argv: [], want: '--node is missing; give it as --node NAME' },
    'an empty value': { argv: ['--node='], want: '--node must be a name, not ""' },
    'an address without a port': { argv: ['--listen', 'x'], want: '--listen must be ADDRESS:PORT, e.g. 0.0.0.0:9443 or [::]:9443, not "x"' },
    'a port that is too great': { argv: ['--listen=:65536'], want: '--listen must be ADDRESS:PORT, e.g. 0.0.0.0:9443 or [::]:9443, not ":65536"' },
    'a number that is too great': { argv: ['--probe-limit', '11'], want: '--probe-limit must be a whole number from 1 to 10, not "11"' },
    'a number in another notation': { argv: ['--probe-limit', '1e0'], want: '--probe-limit must be a whole number from 1 to 10, not "1e0"' },
    'a duration without unit': { argv: ['--drain-delay', '5'], want: '--drain-delay must be a duration from 0ms to 60000ms, e.g. 500ms or 10s, not "5"' },
    'a switch with another value': { argv: ['--quiet=maybe'], want: '--quiet must be true or false, not "maybe"' },
    'a bad variable': { argv: [], env: { HOT_SWITCH_PROBE_LIMIT: 'x' }, want: 'HOT_SWITCH_PROBE_LIMIT must be a whole number from 1 to 10, not "x"' },
  };
  test.each(Object.entries(cases))('%s', (_name, { argv, env = {}, want }) => {
    const withNode = want.includes('--node') ? argv : [...argv, ...NODE];
    expect(parseFlags(TABLE, withNode, env)).toEqual({ kind: 'error', message: want });
  });
});

describe('parseFlags', () => {
  const values = (argv: string[], env = {}): unknown => {
    const parsed = parseFlags(TABLE, [...NODE, ...argv], env);
    return parsed.kind === 'values' ? parsed.values : parsed;
  };

  test('gives defaults', () => {
    expect(values([])).toEqual({ listen: { host: '0.0.0.0', port: 9443 }, node: 'n1', 'probe-limit': 3, 'drain-delay': 3000, allow: [], quiet: false });
  });

  test('takes the argument first, then the variable, then the default', () => {
    const env = { HOT_SWITCH_LISTEN: '[::]:1', HOT_SWITCH_PROBE_LIMIT: '5', HOT_SWITCH_QUIET: 'true' };
    expect(values(['--listen=[::1]:2'], env)).toMatchObject({ listen: { host: '::1', port: 2 }, 'probe-limit': 5, quiet: true });
    expect(values(['--quiet=false'], env)).toMatchObject({ quiet: false });
  });

  test('takes an empty variable as absent', () => {
    expect(values([], { HOT_SWITCH_PROBE_LIMIT: '' })).toMatchObject({ 'probe-limit': 3 });
  });

  test('collects a repeatable flag and its commas', () => {
    expect(values(['--allow', 'a, b', '--allow=c', '--quiet'])).toMatchObject({ allow: ['a', 'b', 'c'], quiet: true });
    expect(values([], { HOT_SWITCH_ALLOW: 'a,b' })).toMatchObject({ allow: ['a', 'b'] });
  });

  test.each(['--help', '-h'])('gives help for %s, whatever stands beside it', (flag) => {
    expect(parseFlags(TABLE, ['--wrong', flag], {})).toEqual({ kind: 'help' });
  });
});

test('the help names every flag, its default and its variable', () => {
  const help = describeFlags(TABLE);
  for (const name of Object.keys(TABLE)) expect(help).toContain(`--${name}`);
  expect(help).toContain('  --listen ADDRESS:PORT\n        Where to listen. (default 0.0.0.0:9443) [HOT_SWITCH_LISTEN]\n');
  expect(help).toContain('  --quiet\n');
  expect(environmentName('tls-cert')).toBe('HOT_SWITCH_TLS_CERT');
});
