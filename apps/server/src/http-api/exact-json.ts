import { InvalidJson } from './json-splitter.js';

/** Most digits that a double holds exactly, whatever they are. */
const exactDigits = 15;
/** No 64-bit field needs more; beyond it a number is not an integer that any message could hold. */
const exponentMax = 30;

/**
 * `JSON.parse`, but exact: integers that a double cannot hold come as texts of their digits, which is the other form
 * in which 64-bit fields are written in JSON.
 *
 * @throws InvalidJson when the text is not JSON.
 */
export function parseExactJson(text: string): unknown {
  try {
    return JSON.parse(quoteLongNumbers(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidJson(`invalid JSON: ${error.message}`);
    throw error;
  }
}

const numberStart = /[-\d]/;

/** Copies the text and puts long integers outside of strings into quotes. Texts without any are returned as they are. */
function quoteLongNumbers(text: string): string {
  if (!/\d{16}|\d[eE.]/.test(text)) return text;
  let result = '';
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const character = text[at] as string;
    if (character === '"') {
      at = stringEnd(text, at);
    } else if (numberStart.test(character)) {
      const end = numberEnd(text, at);
      const quoted = exactInteger(text.slice(at, end));
      if (quoted !== undefined) {
        result += `${text.slice(copied, at)}"${quoted}"`;
        copied = end;
      }
      at = end;
    } else {
      at++;
    }
  }
  return result + text.slice(copied);
}

/** The index after the string that starts at `at`; the end of the text when it never ends. */
function stringEnd(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

function numberEnd(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && /[-+.\deE]/.test(text[end] as string)) end++;
  return end;
}

/** The digits of a JSON number that is an integer too long for a double; undefined for all others. */
function exactInteger(number: string): string | undefined {
  const match = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([-+]?\d{1,4}))?$/.exec(number);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const shift = Number(exponent);
  if (Math.abs(shift) > exponentMax || whole.length + fraction.length <= exactDigits - Math.max(shift, 0))
    return undefined;
  const moved = shift >= 0 ? fraction.padEnd(shift, '0').slice(0, shift) : '';
  const kept = shift >= 0 ? whole + moved : whole.slice(0, shift);
  const dropped = shift >= 0 ? fraction.slice(shift) : whole.slice(shift) + fraction;
  if (kept === '' || /[^0]/.test(dropped)) return undefined;
  const digits = kept.replace(/^0+(?=\d)/, '');
  return digits.length > exactDigits ? sign + digits : undefined;
}
