import { ConfigModelError } from '../error.js';
import { type ConfigValue, setMember } from '../value.js';
import { positionAt } from './position.js';

/** Deeper documents are refused by every format, so that no reader runs out of stack. */
export const mostDepth = 100;

/**
 * Strict JSON (RFC 8259), and stricter: a member given twice is refused, and so is an integer that `number` cannot hold exactly.
 *
 * @throws ConfigModelError `invalid-document` with the position.
 */
export function parseJson(text: string): ConfigValue {
  return new JsonReader(text).document();
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const spacePattern = /[ \t\n\r]*/y;
const literals: readonly (readonly [string, ConfigValue])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

class JsonReader {
  private at = 0;

  constructor(private readonly text: string) {}

  document(): ConfigValue {
    const value = this.value(0);
    if (this.at < this.text.length) throw this.error('the document ends here, but more follows');
    return value;
  }

  private value(depth: number): ConfigValue {
    if (depth > mostDepth) throw this.error(`is nested deeper than ${mostDepth} levels`);
    this.space();
    const character = this.text[this.at];
    let value: ConfigValue;
    if (character === '{') value = this.object(depth);
    else if (character === '[') value = this.array(depth);
    else if (character === '"') value = this.string();
    else value = this.scalar();
    this.space();
    return value;
  }

  private object(depth: number): ConfigValue {
    const object: Record<string, ConfigValue> = {};
    this.at += 1;
    this.space();
    if (this.take('}')) return object;
    do {
      this.space();
      const start = this.at;
      if (this.text[this.at] !== '"') throw this.error('a member name in double quotes was expected');
      const name = this.string();
      if (Object.hasOwn(object, name)) throw this.error(`the member '${name}' is given twice`, start);
      this.space();
      if (!this.take(':')) throw this.error("':' was expected after the member name");
      setMember(object, name, this.value(depth + 1));
    } while (this.take(','));
    if (!this.take('}')) throw this.error("',' or '}' was expected");
    return object;
  }

  private array(depth: number): ConfigValue {
    const items: ConfigValue[] = [];
    this.at += 1;
    this.space();
    if (this.take(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.take(','));
    if (!this.take(']')) throw this.error("',' or ']' was expected");
    return items;
  }

  private string(): string {
    const source = this.match(stringPattern);
    if (source === undefined)
      throw this.error('the text is not closed, or has a character that JSON does not allow');
    return JSON.parse(source) as string;
  }

  private scalar(): ConfigValue {
    for (const [name, value] of literals) {
      if (this.text.startsWith(name, this.at)) {
        this.at += name.length;
        return value;
      }
    }
    const start = this.at;
    const source = this.match(numberPattern);
    if (source === undefined)
      throw this.error(this.at < this.text.length ? 'a value was expected' : 'the document is not complete');
    const value = Number(source);
    if (!isExact(value, source)) {
      throw this.error(`the number ${source} cannot be kept exactly; write it in double quotes`, start);
    }
    return value;
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private space(): void {
    this.match(spacePattern);
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private error(message: string, at = this.at): ConfigModelError {
    return new ConfigModelError('invalid-document', message, positionAt(this.text, at));
  }
}

function isExact(value: number, source: string): boolean {
  if (!Number.isFinite(value)) return false;
  return !/^-?\d+$/.test(source) || Number.isSafeInteger(value);
}
