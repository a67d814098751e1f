/** The lines that were taken out (`- `) and put in (`+ `) between two texts, each with its number; empty when they are equal. For texts of some thousand lines at most. */
export function lineDiff(before: string, after: string): readonly string[] {
  const left = before.split('\n');
  const right = after.split('\n');
  const common = commonLengths(left, right);
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      i += 1;
      j += 1;
    } else if (j >= right.length || (i < left.length && (common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0))) {
      lines.push(`- ${i + 1}: ${left[i++]}`);
    } else {
      lines.push(`+ ${j + 1}: ${right[j++]}`);
    }
  }
  return lines;
}

/** Length of the longest common subsequence of left[i…] and right[j…], at [i][j]. */
function commonLengths(left: readonly string[], right: readonly string[]): readonly (readonly number[])[] {
  const lengths = Array.from({ length: left.length + 1 }, () => Array.from({ length: right.length + 1 }, () => 0));
  for (let i = left.length - 1; i >= 0; i--) {
    const row = lengths[i] ?? [];
    const below = lengths[i + 1] ?? [];
    for (let j = right.length - 1; j >= 0; j--) row[j] = left[i] === right[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return lengths;
}
