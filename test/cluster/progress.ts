/** Says what is being done, for how long, and roughly how long to go; a line every few seconds, so that a log stays readable too. */
export async function withProgress<T>(what: string, expectedSeconds: number | undefined, work: () => Promise<T>): Promise<T> {
  const startMs = Date.now();
  const elapsed = (): number => Math.round((Date.now() - startMs) / 1000);
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  if (expectedSeconds !== undefined) say(`${what} (about ${minutes(expectedSeconds)}) ...`);
  const timer = setInterval(() => {
    const left = expectedSeconds === undefined ? undefined : expectedSeconds - elapsed();
    say(`  ${what}: ${minutes(elapsed())} so far${left === undefined ? '' : left > 0 ? `, about ${minutes(left)} to go` : ', longer than usual'}`);
  }, 15_000);
  try {
    const result = await work();
    if (expectedSeconds !== undefined) say(`  ${what}: done in ${minutes(elapsed())}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
