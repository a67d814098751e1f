/**
 * Folds a kubectl table that is wider than `width`: columns that do not fit go below their row, indented, and nothing is left out. Text that fits, or is no table
 * (header words apart by two blanks or more), comes back as it is.
 */
export function foldColumns(text: string, width: number): string {
  const lines = text.trimEnd().split('\n');
  const [header = ''] = lines;
  const starts = [...header.matchAll(/(?:^|(?<= {2}))\S/g)].map((match) => match.index);
  if (starts.length < 2 || lines.every((line) => line.length <= width)) return text.trimEnd();
  const columns = starts.map((start, index) => {
    const values = lines.map((line) => line.slice(start, starts[index + 1]).trim());
    const size = Math.max(...values.map((value) => value.length));
    return values.map((value) => value.padEnd(size));
  });
  const groups = grouped(columns, width);
  return lines
    .flatMap((_, row) => groups.map((group, index) => `${index === 0 ? '' : INDENT}${group.map((column) => column[row]).join(GAP)}`.trimEnd()))
    .filter((line) => line !== '')
    .join('\n');
}

const GAP = '  ';
const INDENT = '    ';

/** As many neighbouring columns to a group as fit into width, at least one. */
function grouped(columns: readonly (readonly string[])[], width: number): readonly (readonly (readonly string[])[])[] {
  const groups: (readonly string[])[][] = [];
  let used = Infinity;
  for (const column of columns) {
    const size = GAP.length + (column[0]?.length ?? 0);
    if (used + size <= width) {
      used += size;
      groups.at(-1)?.push(column);
    } else {
      used = (groups.length === 0 ? 0 : INDENT.length) + size - GAP.length;
      groups.push([column]);
    }
  }
  return groups;
}
