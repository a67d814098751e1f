import { expect, test } from '@jest/globals';
import { createLeaseAges } from '../../../../src/adapters/kube/lease-ages.ts';

/** Ages in milliseconds, on a wall clock that can be set. */
function start() {
  const clock = { wallMs: 5_000_000, steadyMs: 100 };
  const ages = createLeaseAges({ nowMs: () => clock.wallMs, steadyMs: () => clock.steadyMs });
  const pass = (ms: number): void => {
    clock.wallMs += ms;
    clock.steadyMs += ms;
  };
  const age = (): number | undefined => {
    const renewedMs = ages.renewedMs('node');
    return renewedMs === undefined ? undefined : clock.wallMs - renewedMs;
  };
  return { ages, clock, pass, age };
}

test('a Lease that was never seen has no age', () => {
  expect(start().age()).toBeUndefined();
});

test('the age counts from the first sight, whatever time the Lease itself tells', () => {
  const { ages, pass, age } = start();
  expect(ages.observe('node', '1999-01-01T00:00:00Z')).toBe(true);
  pass(3000);
  expect(age()).toBe(3000);
});

test('only another renewTime is a renewal', () => {
  const { ages, pass, age } = start();
  ages.observe('node', 'a');
  pass(9000);
  expect(ages.observe('node', 'a')).toBe(false);
  expect(age()).toBe(9000);
  expect(ages.observe('node', 'b')).toBe(true);
  expect(age()).toBe(0);
});

test('a wall clock that is set does not age a Lease', () => {
  const { ages, clock, pass, age } = start();
  ages.observe('node', 'a');
  pass(1000);
  clock.wallMs += 3_600_000;
  expect(age()).toBe(1000);
});

test('once the API server is back, silence counts anew; a later renewal counts from itself', () => {
  const { ages, pass, age } = start();
  ages.observe('node', 'a');
  pass(60_000);
  ages.startAnew();
  pass(2000);
  expect(age()).toBe(2000);
  ages.observe('node', 'b');
  expect(age()).toBe(0);
});

test('a forgotten Lease is unknown again', () => {
  const { ages, age } = start();
  ages.observe('node', 'a');
  ages.forget('node');
  expect(age()).toBeUndefined();
});
