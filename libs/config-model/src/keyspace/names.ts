import { ConfigModelError } from '../error.js';

/** Names of apps, environments, namespaces and rules as people choose them. */
const plainName = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** What stands in a key as it is; everything else is written as %XX. */
const plainStart = /^[a-z0-9]/;
const mostBytes = 255;

/** True for `[a-z0-9][a-z0-9._-]{0,62}`. */
export function isName(value: string): boolean {
  return plainName.test(value);
}

/**
 * A name that a person chose.
 *
 * @param what the kind of name, for the message.
 * @throws ConfigModelError `invalid-name`.
 */
export function checkedName(value: string, what: string): string {
  if (!isName(value)) {
    throw new ConfigModelError(
      'invalid-name',
      `${what}: '${value}' is not a name; it has 1 to 63 of a-z, 0-9, '.', '_' and '-', and begins with a letter or a digit`,
    );
  }
  return value;
}

/**
 * A name as one segment of a key: plain names as they are, others (those of imported configuration, host names, addresses) with
 * each byte of their UTF-8 form that is no plain character as %XX. Exactly one segment stands for each name.
 *
 * @throws ConfigModelError `invalid-name` when it is empty, longer than 255 bytes, or not Unicode text.
 */
export function encodeSegment(name: string, what = 'name'): string {
  if (isName(name)) return name;
  let bytes: string;
  try {
    bytes = encodeURIComponent(name);
  } catch {
    throw new ConfigModelError('invalid-name', `${what}: is not Unicode text (a surrogate stands alone)`);
  }
  const segment = bytes.replace(/[A-Z!~*'()]/g, (character, at: number) =>
    isInsideEscape(bytes, at) ? character : escaped(character),
  );
  const length = segment.replace(/%../g, '.').length;
  if (length === 0 || length > mostBytes) {
    throw new ConfigModelError('invalid-name', `${what}: has ${length} bytes; a name has 1 to ${mostBytes}`);
  }
  return plainStart.test(segment) || segment.startsWith('%')
    ? segment
    : escaped(segment[0] ?? '') + segment.slice(1);
}

/**
 * The name that a segment of a key stands for.
 *
 * @throws ConfigModelError `invalid-key` for anything that {@link encodeSegment} does not give.
 */
export function decodeSegment(segment: string): string {
  if (isName(segment)) return segment;
  let name: string;
  try {
    name = decodeURIComponent(segment);
    if (encodeSegment(name) === segment) return name;
  } catch {
    // Told below, in the same words for every reason.
  }
  throw new ConfigModelError(
    'invalid-key',
    `'${segment}' is not a name as keys have it (plain, or with %XX)`,
  );
}

function isInsideEscape(text: string, at: number): boolean {
  return text[at - 1] === '%' || text[at - 2] === '%';
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
