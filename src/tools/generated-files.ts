import { agentCommand } from '../cmd/agent.ts';
import type { Command } from '../cmd/command.ts';
import { controllerCommand } from '../cmd/controller.ts';
import { logLevel } from '../cmd/flag-schemas.ts';
import { environmentName, type FlagTable } from '../cmd/flags.ts';
import { webhookCommand } from '../cmd/webhook.ts';
import { referencePage, type ReferenceCommand } from '../core/reference.ts';

const COMMANDS: readonly Command[] = [webhookCommand, controllerCommand, agentCommand];

/** What the program itself adds to every subcommand. */
const PROGRAM_FLAGS = {
  'log-level': { value: 'LEVEL', description: 'Least important lines to log: debug, info, warn or error.', default: 'info', schema: logLevel },
} as const;

/** Every file of the checkout that is made from code: its path below the checkout, and what it should hold. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([['docs/reference.md', referencePage(COMMANDS.map(documented))]]);
}

function documented({ name, summary, description, flags }: Command): ReferenceCommand {
  const table: FlagTable = { ...flags, ...PROGRAM_FLAGS };
  return {
    name,
    summary,
    description,
    flags: Object.entries(table).map(([flag, { value, description: meaning, default: fallback, repeatable }]) => ({
      usage: `--${flag}${value === undefined ? '' : ` ${value}`}${repeatable === true ? ' …' : ''}`,
      description: meaning,
      default: fallback === '' ? undefined : fallback,
      env: environmentName(flag),
    })),
  };
}
