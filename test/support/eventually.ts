/** Waits until `check` holds, looking every few milliseconds; throws naming `what` after `withinMs`. */
export async function eventually(what: string, check: () => boolean, withinMs = 3_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!check()) {
    if (performance.now() > untilMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(2);
  }
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
