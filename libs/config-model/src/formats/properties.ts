import { ConfigModelError } from '../error.js';
import { splitPath } from './path.js';
import { positionAt } from './position.js';

/**
 * Properties as Java's `Properties.load` reads them: `key=value`, `key: value` or `key value`, comments with `#` or `!`, lines that
 * go on after a backslash, and `\uXXXX`. Stricter in one thing: a key given twice is refused. Keys are paths.
 *
 * @throws ConfigModelError `invalid-document` with the position.
 */
export function parseProperties(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of logicalLines(text)) {
    const [key, value] = splitEntry(line.content);
    const at = (message: string): ConfigModelError =>
      new ConfigModelError('invalid-document', message, positionAt(text, line.offset));
    const path = unescape(key, at);
    if (values.has(path)) throw at(`the key '${path}' is given twice`);
    try {
      splitPath(path);
    } catch (error) {
      throw at((error as Error).message);
    }
    values.set(path, unescape(value, at));
  }
  return values;
}

interface LogicalLine {
  /** Without the indentation, continued lines joined. */
  readonly content: string;
  /** Where its first character stands in the text. */
  readonly offset: number;
}

function logicalLines(text: string): LogicalLine[] {
  const lines: LogicalLine[] = [];
  let begun: { content: string; offset: number } | undefined;
  for (const match of text.matchAll(/([^\n\r]*)(\r\n|\n|\r|$)/g)) {
    const raw = match[1] ?? '';
    const content = raw.replace(/^[ \t\f]+/, '');
    if (begun === undefined && (content === '' || content.startsWith('#') || content.startsWith('!')))
      continue;
    const goesOn = endsInOddBackslashes(content) && match[2] !== '';
    const part = goesOn ? content.slice(0, -1) : content;
    if (begun === undefined) begun = { content: part, offset: match.index + raw.length - content.length };
    else begun.content += part;
    if (!goesOn) {
      lines.push(begun);
      begun = undefined;
    }
  }
  if (begun !== undefined) lines.push(begun);
  return lines;
}

function endsInOddBackslashes(line: string): boolean {
  return (/\\*$/.exec(line)?.[0].length ?? 0) % 2 === 1;
}

/** Key and value, both still escaped. The key ends at the first `=`, `:` or white space that no backslash stands before. */
function splitEntry(line: string): [string, string] {
  const key = /^(?:\\.|[^\\=: \t\f])*/.exec(line)?.[0] ?? '';
  const value = line.slice(key.length).replace(/^[ \t\f]*(?:[=:][ \t\f]*)?/, '');
  return [key, value];
}

const controls: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescape(text: string, at: (message: string) => ConfigModelError): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|u|.|$)/g, (_, code: string) => {
    if (code.length === 5) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (code === 'u') throw at('\\u needs four hexadecimal digits');
    return controls[code] ?? code;
  });
}

/** Text that {@link parseProperties} reads back as the same values. */
export function renderProperties(values: ReadonlyMap<string, string>): string {
  let text = '';
  for (const [path, value] of values) {
    const key = escape(path).replace(/[ =:#!]/g, '\\$&');
    text += `${key}=${escape(value).replace(/^ /, '\\ ')}\n`;
  }
  return text;
}

function escape(text: string): string {
  return text
    .replace(/\\/g, '\\\\')
    .replace(/[\t\n\r\f]/g, (character) => ({ '\t': '\\t', '\n': '\\n', '\r': '\\r' })[character] ?? '\\f');
}
