import type { BypassRecord } from '../api/bypass-record.ts';
import { formatDuration } from '../api/duration.ts';
import { TLS_MODE_DISABLED, TLS_MODE_LABEL } from '../api/istio.ts';
import {
  AGENT_PREFIX,
  BYPASSED,
  BYPASS_RECORD,
  EFFECTIVE_POLICY,
  FAILOVER_ENABLED,
  FAILOVER_LABEL,
  PREFIX,
  PROXY_HEALTHY,
  TRAFFIC_LABEL,
  TRAFFIC_READY,
  type Traffic,
} from '../api/keys.ts';
import { defaultText, parseValue, PolicyKeys, POLICY_KEYS, type PolicyKey } from '../api/policy.ts';
import { REASONS } from '../api/reasons.ts';
import { QUIET_MS } from './bypass-history.ts';

/** One flag as people type it; `usage` has dashes and placeholder, `env` names the environment variable. */
export interface ReferenceFlag {
  readonly usage: string;
  readonly description: string;
  readonly default: string | undefined;
  readonly env: string;
}

/** One subcommand of the program. */
export interface ReferenceCommand {
  readonly name: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly flags: readonly ReferenceFlag[];
}

const TRAFFIC: Readonly<Record<Traffic, string>> = {
  meshed: 'Traffic goes through the sidecar.',
  bypassed: 'The redirection is cleared; traffic goes straight to the application.',
  blocked: 'The sidecar failed, and there is no bypass: no path works.',
};

const RECORD: Readonly<Record<keyof BypassRecord, string>> = {
  since: 'When the redirection was cleared, RFC 3339.',
  until: 'When it was put back; absent while the bypass lasts.',
  bootID: 'Boot ID of the node at that time: rules do not survive a reboot.',
  tlsMode: `Value of the label ${code(TLS_MODE_LABEL)} before the bypass; null when there was none.`,
  entries: `How many bypasses in a row without a quiet time of ${formatDuration(QUIET_MS)}; 1 for the first.`,
};

const CONDITIONS: readonly (readonly [type: string, yes: string, no: string, unknown: string])[] = [
  [TRAFFIC_READY, 'Traffic has a working path, through the sidecar or past it. Also the readiness gate.', 'No path works; the reason says why.', 'not used'],
  [BYPASSED, 'The redirection is cleared; the message says what is suspended.', 'The sidecar gets the traffic.', 'not used'],
  [PROXY_HEALTHY, 'The sidecar answers.', 'It is dead, or does not answer as it should.', 'It was not up yet, or could not be observed.'],
];

/** The reference page in Markdown: every name that users see, from the tables that the program itself runs on. */
export function referencePage(commands: readonly ReferenceCommand[]): string {
  return `${[...head(), ...annotations(), ...labels(), ...conditions(), ...reasons(), ...commands.flatMap(subcommand)].join('\n')}\n`;
}

function head(): string[] {
  return [
    '<!-- Generated from the code by `npm run generate`. Change the code, not this page. -->',
    '# Reference',
    '',
    'Annotations, labels, conditions, reasons and flags, as this version of hot-switch knows them.',
    '',
  ];
}

function annotations(): string[] {
  const rows = POLICY_KEYS.map((key) => [code(PREFIX + key), accepted(key), code(defaultText(key)), PolicyKeys[key].meta()?.['description'] ?? '']);
  return [
    '## Annotations that you write',
    '',
    'On a pod (of a workload: in its pod template), or on its namespace as defaults. The value of the pod wins. They are read when the pod is',
    'created: change the template, or restart the pods, for a new value to count.',
    '',
    ...table(['annotation', 'value', 'default', 'meaning'], rows),
    '',
    'A value that does not parse is denied on namespaces and on bare pods. A pod of a controller is admitted with a warning and runs on the',
    `default of that key. Any other key below ${code(PREFIX)} is a warning and has no effect.`,
    '',
    '## Annotations that hot-switch writes',
    '',
    ...table(
      ['annotation', 'writer', 'meaning'],
      [
        [
          code(EFFECTIVE_POLICY),
          'webhook',
          'JSON: the values above, of namespace and pod merged. The only policy that the agent reads. A pod without it is left alone.',
        ],
        [code(BYPASS_RECORD), 'agent', 'JSON: the running or the last bypass, below.'],
      ],
    ),
    '',
    `Agents write annotations below ${code(AGENT_PREFIX)} only.`,
    '',
    ...table(
      [`field of ${code(BYPASS_RECORD)}`, 'meaning'],
      Object.entries(RECORD).map(([field, meaning]) => [code(field), meaning]),
    ),
    '',
  ];
}

function labels(): string[] {
  const traffic = Object.entries(TRAFFIC).map(([value, meaning]) => [code(TRAFFIC_LABEL), 'pod', code(value), 'webhook, then agent', meaning]);
  return [
    '## Labels',
    '',
    ...table(
      ['label', 'on', 'value', 'writer', 'meaning'],
      [
        [code(FAILOVER_LABEL), 'namespace', code(FAILOVER_ENABLED), 'you', 'Opt-in: the webhooks select namespaces by it.'],
        ...traffic,
        [
          code(TLS_MODE_LABEL),
          'pod',
          code(TLS_MODE_DISABLED),
          'agent',
          "Istio's own label, set during a bypass: istiod tells callers not to use mTLS. Its former value comes back at the restore.",
        ],
      ],
    ),
    '',
  ];
}

function conditions(): string[] {
  const rows = CONDITIONS.map(([type, yes, no, unknown]) => [code(type), yes, no, unknown]);
  return ['## Pod conditions', '', ...table(['type', 'True', 'False', 'Unknown'], rows), ''];
}

function reasons(): string[] {
  const rows = Object.entries(REASONS).map(([reason, meaning]) => [code(reason), meaning]);
  return ['## Reasons', '', 'The same word stands in the condition, the Event and the log.', '', ...table(['reason', 'meaning'], rows), ''];
}

function subcommand(command: ReferenceCommand): string[] {
  const rows = command.flags.map((flag) => [code(flag.usage), flag.default === undefined ? '' : code(flag.default), flag.description, code(flag.env)]);
  return [
    `## ${code(`hot-switch ${command.name}`)}`,
    '',
    command.summary,
    ...(command.description === undefined ? [] : [command.description]),
    '',
    ...table(['flag', 'default', 'meaning', 'environment variable'], rows),
    '',
  ];
}

/** What a key takes, in the words of its own error message. */
function accepted(key: PolicyKey): string {
  const parsed = parseValue(key, '');
  return parsed.ok ? 'any text' : parsed.message.replace(/^must be /, '');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}
