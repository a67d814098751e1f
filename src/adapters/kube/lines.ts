const NEWLINE = 10;

/** A line grew beyond the bound. */
export class LineTooLong extends Error {}

/** Splits a stream of bytes into its non-empty lines. An unfinished last line is dropped: it was cut off. Throws LineTooLong. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string, void, void> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, from);
      const part = chunk.subarray(from, newline === -1 ? chunk.length : newline);
      bytes += part.length;
      if (bytes > maxBytes) throw new LineTooLong(`a line is longer than ${maxBytes} bytes`);
      parts.push(part);
      if (newline === -1) break;
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      bytes = 0;
      from = newline + 1;
      if (line !== '') yield line;
    }
  }
}
