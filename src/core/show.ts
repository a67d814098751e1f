const SHOWN_CHARACTERS = 64;
/** Controls and invisible characters that JSON leaves as they are; in a terminal or log they would change what is read. */
// eslint-disable-next-line no-control-regex -- controls are what it looks for
const INVISIBLE = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** A text of a tenant for a message: quoted, at most 64 characters, controls escaped. */
export function show(text: string): string {
  // The first slice bounds the work; the second counts characters, not halves of them.
  const characters = Array.from(text.slice(0, 2 * SHOWN_CHARACTERS + 2));
  const cut = characters.length > SHOWN_CHARACTERS ? `${characters.slice(0, SHOWN_CHARACTERS).join('')}…` : text;
  return JSON.stringify(cut).replace(INVISIBLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The first lines of many, with the number of the others. */
export function firstOf(lines: readonly string[], limit: number): readonly string[] {
  return lines.length <= limit ? lines : [...lines.slice(0, limit), `and ${lines.length - limit} more`];
}
