import { expect, test } from '@jest/globals';
import { drawPicture } from '../../measure/picture.ts';
import type { Picture } from '../../measure/picture.ts';

const FROM_MS = 1_790_000_000_000;

/** Half a minute at 10 requests a second that fails from 10 to 20 s. */
const RESULTS = Array.from({ length: 300 }, (_, index) => ({ n: 'x', t: FROM_MS + index * 100, d: 4, s: index >= 100 && index < 200 ? 503 : 200 }));

function picture(overrides: Partial<Picture> = {}): Picture {
  const arm = (title: string) => ({
    title,
    marks: [{ atMs: FROM_MS + 10_000, label: 'sidecar killed' }],
    clients: [
      { name: 'plain client', results: RESULTS },
      { name: 'meshed client', results: RESULTS.slice(0, 100) },
    ],
  });
  return { title: 'Answers', span: { fromMs: FROM_MS, toMs: FROM_MS + 30_000 }, arms: [arm('without hot-switch'), arm('with hot-switch')], ...overrides };
}

function count(svg: string, part: string): number {
  return svg.split(part).length - 1;
}

/** Every element that is opened is closed, and no number is NaN or infinite. */
function expectSound(svg: string): void {
  const open: string[] = [];
  for (const [, slash, name, end] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (slash === '/') expect(open.pop()).toBe(name);
    else if (end !== '/') open.push(name ?? '');
  }
  expect(open).toEqual([]);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
}

test('a column for each arm, a panel for each client, each mark in every panel', () => {
  const svg = drawPicture(picture());
  expectSound(svg);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="960" /);
  expect(['without hot-switch<', 'with hot-switch<', '>plain client<', '>meshed client<', '>sidecar killed<'].map((part) => count(svg, part))).toEqual([
    1, 1, 2, 2, 4,
  ]);
  expect(svg).toContain('100 of 300 failed, longest outage 10.0 s');
  expect(svg).toContain('0 of 100 failed<');
});

test('failures are drawn where they were: the middle third of the panel', () => {
  const [failed = ''] = drawPicture(picture()).match(/<path d="[^"]*" fill="#D55E00"\/>/g) ?? [];
  const edges = [...failed.matchAll(/M([\d.]+) [\d.]+H([\d.]+)/g)].flatMap((match) => [Number(match[1]), Number(match[2])]);
  const plot = { left: 28 + 46, width: (960 - 2 * 28 - 30) / 2 - 46 - 4 };
  expect(Math.min(...edges)).toBeCloseTo(plot.left + plot.width / 3, 0);
  expect(Math.max(...edges)).toBeCloseTo(plot.left + (2 * plot.width) / 3, 0);
});

test('labels of neighbouring marks do not lie over one another', () => {
  const marks = [10, 11, 12].map((second) => ({ atMs: FROM_MS + second * 1000, label: `a rather long label ${second}` }));
  const [arm] = picture().arms;
  const svg = drawPicture(picture({ arms: arm === undefined ? [] : [{ ...arm, marks }] }));
  const rows = [...svg.matchAll(/<text x="[^"]*" y="([^"]*)"[^>]*>a rather long label/g)].map((match) => match[1]);
  expect(new Set(rows.slice(0, 3)).size).toBe(3);
});

test.each(
  Object.entries({
    'no arms': picture({ arms: [] }),
    'an arm without clients': picture({ arms: [{ title: 'empty', marks: [], clients: [] }] }),
    'a client without results': picture({ arms: [{ title: 'mute', marks: [], clients: [{ name: 'plain', results: [] }] }] }),
    'marks outside of the span': picture({ arms: [{ title: 'x', marks: [{ atMs: 0, label: 'long ago' }], clients: [{ name: 'plain', results: RESULTS }] }] }),
    'a span of hours': picture({ span: { fromMs: FROM_MS, toMs: FROM_MS + 5 * 3_600_000 } }),
    'titles with markup': picture({ title: '<script>&', subtitle: 'a < b' }),
  }),
)('%s: still a sound picture', (_, odd) => {
  const svg = drawPicture(odd);
  expectSound(svg);
  expect(svg).not.toContain('<script>');
});
