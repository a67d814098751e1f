import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { validate } from '../../../src/core/validate.ts';
import type { Configured, Findings } from '../../../src/core/validate.ts';

const pod = (annotations: Record<string, string>, labels: Record<string, string> = {}): Configured => ({ kind: 'Pod', annotations, labels });
const namespace = (annotations: Record<string, string>, labels: Record<string, string> = {}): Configured => ({ kind: 'Namespace', annotations, labels });

interface Case {
  readonly now: Configured;
  readonly before?: Configured;
  readonly want: Partial<Findings>;
}

const cases: Record<string, Case> = {
  'a duration without unit is an error': {
    now: pod({ 'hot-switch.io/probe-period': '5' }),
    want: { errors: ['metadata.annotations[hot-switch.io/probe-period]: must be a duration between 100ms and 1m, e.g. "1s" or "200ms", not "5"'] },
  },
  'an empty value is an error': {
    now: namespace({ 'hot-switch.io/mode': '' }),
    want: { errors: ['metadata.annotations[hot-switch.io/mode]: must be one of "enforce", "observe", "off", not ""'] },
  },
  'a number in another notation is an error': {
    now: pod({ 'hot-switch.io/success-threshold': '1e1' }),
    want: { errors: ['metadata.annotations[hot-switch.io/success-threshold]: must be a whole number from 1 to 100 in quotes, e.g. "3", not "1e1"'] },
  },
  'controls of a terminal and invisible characters are escaped': {
    now: pod({ 'hot-switch.io/mode': 'a\u001b[2J\u202e\n"' }),
    want: { errors: ['metadata.annotations[hot-switch.io/mode]: must be one of "enforce", "observe", "off", not "a\\u001b[2J\\u202e\\n\\""'] },
  },
  'a long value is cut to 64 characters, whole ones': {
    now: pod({ 'hot-switch.io/mode': '😀'.repeat(10_000) }),
    want: { errors: [`metadata.annotations[hot-switch.io/mode]: must be one of "enforce", "observe", "off", not "${'😀'.repeat(64)}…"`] },
  },
  'good values are silent': {
    now: pod({ 'hot-switch.io/mode': 'observe', 'hot-switch.io/probe-period': '200ms', 'hot-switch.io/min-bypass-duration': '0s', 'other.io/mode': '?' }),
    want: { errors: [], warnings: [] },
  },
  'our own annotation is silent': { now: pod({ 'hot-switch.io/effective-policy': '{}' }), want: { errors: [], warnings: [] } },
  'a mistyped key is a warning with the right one': {
    now: pod({ 'hot-switch.io/prob-period': '5s' }),
    want: { errors: [], warnings: ['annotation hot-switch.io/prob-period is not known and has no effect; did you mean hot-switch.io/probe-period?'] },
  },
  'a key that is like none is a warning without advice': {
    now: pod({ 'hot-switch.io/xyzxyzxyz': '5s' }),
    want: { errors: [], warnings: ['annotation hot-switch.io/xyzxyzxyz is not known and has no effect'] },
  },
  'a key of a later version is a warning': {
    now: pod({ 'hot-switch.io/directions': 'both' }),
    want: { errors: [], warnings: ['annotation hot-switch.io/directions is not known and has no effect'] },
  },
  'the opt-in as an annotation of the namespace is a warning': {
    now: namespace({ 'hot-switch.io/failover': 'enabled' }),
    want: { errors: [], warnings: ['annotation hot-switch.io/failover has no effect; it is a label of the namespace, not an annotation'] },
  },
  'the opt-in as a label of a pod is a warning': {
    now: pod({}, { 'hot-switch.io/failover': 'enabled' }),
    want: { warnings: ['label hot-switch.io/failover has no effect on a pod; put it on the namespace'] },
  },
  'the opt-in with another value is a warning': {
    now: namespace({}, { 'hot-switch.io/failover': 'true' }),
    want: { errors: [], warnings: ['label hot-switch.io/failover with the value "true" has no effect; use "enabled"'] },
  },
  'the opt-in as it should be is silent': { now: namespace({}, { 'hot-switch.io/failover': 'enabled' }), want: { errors: [], warnings: [] } },
  'a key of the policy as a label is a warning': {
    now: namespace({}, { 'hot-switch.io/mode': 'off' }),
    want: { warnings: ['label hot-switch.io/mode has no effect; it is an annotation'] },
  },
  'an update that leaves an old mistake as it is passes in silence': {
    now: pod({ 'hot-switch.io/mode': 'wrong', 'hot-switch.io/typo': '1', a: '2' }, { 'hot-switch.io/failover': 'x' }),
    before: pod({ 'hot-switch.io/mode': 'wrong', 'hot-switch.io/typo': '1', a: '1' }, { 'hot-switch.io/failover': 'x' }),
    want: { errors: [], warnings: [] },
  },
  'an update that changes one mistake to another is an error': {
    now: pod({ 'hot-switch.io/mode': 'wronger' }),
    before: pod({ 'hot-switch.io/mode': 'wrong' }),
    want: { errors: ['metadata.annotations[hot-switch.io/mode]: must be one of "enforce", "observe", "off", not "wronger"'] },
  },
};

describe('validate', () => {
  test.each(Object.entries(cases))('%s', (_name, { now, before, want }) => {
    expect(validate(now, before)).toMatchObject(want);
  });

  test('thousands of unknown keys give a bounded number of lines', () => {
    const annotations = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`hot-switch.io/k${index}`, 'v']));
    const { warnings } = validate(pod(annotations));
    expect(warnings).toHaveLength(17);
    expect(warnings.at(-1)).toBe('and 9984 more');
  });

  test('no text of a tenant makes it throw, or reaches a message with a control in it', () => {
    const key = fc.oneof(
      fc.constantFrom('mode', 'security', 'probe-period', '__proto__', 'constructor', 'toString').map((name) => `hot-switch.io/${name}`),
      fc.string({ unit: 'binary' }).map((name) => `hot-switch.io/${name}`),
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.string({ unit: 'binary' })), (annotations) => {
        const { errors, warnings } = validate(pod(annotations, annotations));
        // eslint-disable-next-line no-control-regex -- controls are what must not be there
        for (const line of [...errors, ...warnings]) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
      }),
    );
  });
});
