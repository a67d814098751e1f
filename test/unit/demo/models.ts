import type { ScreenArm, ScreenModel } from '../../demo/render.ts';
import type { Cell } from '../../measure/timeline.ts';

const CELLS: Readonly<Record<string, Cell>> = { '#': 'good', '+': 'some', '.': 'none', ' ': 'empty' };

/** A timeline from the signs that it is shown as. */
export function cells(signs: string): readonly Cell[] {
  return signs.split('').map((sign) => CELLS[sign] ?? 'empty');
}

/** An arm with a plain and a meshed client. */
export function makeArm(title: string, plain: string, meshed: string, overrides: Partial<ScreenArm> = {}): ScreenArm {
  const client = (name: string, signs: string) => ({ name, cells: cells(signs), failures: 50 * signs.split('.').length - 50 });
  return { title, clients: [client('plain', plain), client('meshed', meshed)], pods: ['shop-0 2/2 Running'], endpoints: '198.18.0.5 ready', ...overrides };
}

/** Both arms after a few seconds, the sidecar dead. */
export function makeModel(overrides: Partial<ScreenModel> = {}): ScreenModel {
  return {
    elapsedMs: 7300,
    caption: 'both sidecars are killed',
    arms: [makeArm('without hot-switch', '####+..', '####...', { endpoints: 'none' }), makeArm('with hot-switch', '####+##', '####+##')],
    ...overrides,
  };
}
