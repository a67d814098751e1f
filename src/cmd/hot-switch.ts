#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { nearest } from '../core/nearest.ts';
import { createLogger } from '../runtime/logger.ts';
import { UsageError } from './command.ts';
import type { Command } from './command.ts';
import { logLevel } from './flag-schemas.ts';
import { describeFlags, parseFlags } from './flags.ts';

/** Loaded only when asked for: the agent does not pay for the webhook's libraries. */
const SUBCOMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  webhook: async () => (await import('./webhook.ts')).webhookCommand,
  controller: async () => (await import('./controller.ts')).controllerCommand,
  agent: async () => (await import('./agent.ts')).agentCommand,
};

const PROGRAM_FLAGS = {
  'log-level': { value: 'LEVEL', description: 'Least important lines to log: debug, info, warn or error.', default: 'info', schema: logLevel },
} as const;

const USAGE_STATUS = 2;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--help' || name === '-h' || name === 'help') return print(await programHelp());
  if (name === '--version') return print(`hot-switch ${version()}\n`);
  if (name === undefined) return refuse('a subcommand is missing; see hot-switch --help');
  const load = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
  if (load === undefined) return refuse(unknownSubcommand(name));
  return run(await load(), rest);
}

async function run(command: Command, argv: readonly string[]): Promise<number> {
  const table = { ...command.flags, ...PROGRAM_FLAGS };
  const parsed = parseFlags(table, argv, process.env);
  if (parsed.kind === 'help') return print(commandHelp(command));
  if (parsed.kind === 'error') return refuse(`${command.name}: ${parsed.message} (see hot-switch ${command.name} --help)`);
  const log = createLogger(parsed.values['log-level'], (line) => process.stderr.write(line), { process: command.name });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      // A second signal means that the person does not want to wait for good order.
      if (stop.signal.aborted) process.exit(1);
      log.info('stopping', { signal });
      stop.abort();
    });
  }
  try {
    return await command.run(parsed.values, log, stop.signal);
  } catch (error) {
    if (error instanceof UsageError) return refuse(`${command.name}: ${error.message}`);
    log.error('failed', { error, stack: error instanceof Error ? error.stack : undefined });
    return 1;
  }
}

function unknownSubcommand(name: string): string {
  const near = nearest(name, Object.keys(SUBCOMMANDS));
  const shown = JSON.stringify(name.slice(0, 64));
  return `unknown subcommand ${shown}; ${near === undefined ? 'see hot-switch --help' : `did you mean ${near}?`}`;
}

async function programHelp(): Promise<string> {
  const commands = await Promise.all(Object.values(SUBCOMMANDS).map((load) => load()));
  const width = Math.max(...commands.map((command) => command.name.length));
  const lines = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}\n`).join('');
  return `Keeps a Kubernetes workload reachable when its Istio sidecar fails.\n\nusage: hot-switch SUBCOMMAND [FLAGS]\n\n${lines}\nhot-switch SUBCOMMAND --help tells its flags; hot-switch --version the version.\n`;
}

function commandHelp(command: Command): string {
  const description = command.description === undefined ? '' : `${command.description}\n\n`;
  const flags = describeFlags({ ...command.flags, ...PROGRAM_FLAGS });
  return `${command.summary}\n\n${description}usage: hot-switch ${command.name} [FLAGS]\n\nEvery flag can also be given as the environment variable in brackets.\n\n${flags}`;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function refuse(sentence: string): number {
  process.stderr.write(`hot-switch: ${sentence}\n`);
  return USAGE_STATUS;
}
