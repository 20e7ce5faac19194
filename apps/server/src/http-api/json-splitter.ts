import { Buffer } from 'node:buffer';

/** A request body that is not what it should be; the message says what and where. */
export class InvalidJson extends Error {
  override readonly name = 'InvalidJson';
}

export interface JsonLimits {
  /** Longest single JSON value. */
  readonly bytesMax: number;
  /** Deepest nesting of objects and arrays. */
  readonly depthMax: number;
}

/** One value grew beyond {@link JsonLimits.bytesMax}. */
export class JsonTooLarge extends InvalidJson {}

const quote = 0x22;
const backslash = 0x5c;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const opens = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const closes = (byte: number): boolean => byte === 0x7d || byte === 0x5d;

/**
 * Cuts a stream of bytes into the JSON objects that it consists of, one after the other, with or without white space
 * between them. Only lengths, nesting and ends are decided here; `JSON.parse` judges the rest.
 *
 * Invariants: `#depth` is 0 exactly between two objects, and `#parts` is empty then; `#bytes` is the length of `#parts`.
 */
export class JsonSplitter {
  #parts: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #inString = false;
  #isEscaped = false;

  constructor(private readonly limits: JsonLimits) {}

  /**
   * @returns The texts of the objects that this chunk completed.
   * @throws InvalidJson when the stream cannot be cut; nothing more may be pushed then.
   */
  push(chunk: Uint8Array): string[] {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const complete: string[] = [];
    let start = 0;
    for (let i = 0; i < buffer.length; i++) {
      const wasBetween = this.#depth === 0;
      if (wasBetween && isSpace(buffer[i] as number)) continue;
      if (wasBetween) start = i;
      this.#step(buffer[i] as number);
      if (this.#depth > 0) continue;
      this.#keep(buffer.subarray(start, i + 1));
      complete.push(decode(Buffer.concat(this.#parts)));
      this.#parts = [];
      this.#bytes = 0;
    }
    if (this.#depth > 0) this.#keep(Buffer.from(buffer.subarray(start)));
    return complete;
  }

  /** @throws InvalidJson when the stream ended within an object. */
  end(): void {
    if (this.#depth > 0) throw new InvalidJson('the body ends within a JSON object');
  }

  #step(byte: number): void {
    if (this.#depth === 0) {
      if (byte !== 0x7b) throw new InvalidJson(`a JSON object must start with "{", not ${printable(byte)}`);
      this.#depth = 1;
    } else if (this.#inString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === backslash) this.#isEscaped = true;
      else if (byte === quote) this.#inString = false;
    } else if (byte === quote) {
      this.#inString = true;
    } else if (opens(byte)) {
      this.#depth++;
      if (this.#depth > this.limits.depthMax)
        throw new InvalidJson(`JSON is nested deeper than ${this.limits.depthMax} levels`);
    } else if (closes(byte)) {
      this.#depth--;
    }
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.limits.bytesMax) {
      throw new JsonTooLarge(`a JSON object is larger than ${this.limits.bytesMax} bytes`);
    }
    this.#parts.push(part);
  }
}

function printable(byte: number): string {
  return byte > 0x20 && byte < 0x7f
    ? `"${String.fromCharCode(byte)}"`
    : `byte 0x${byte.toString(16).padStart(2, '0')}`;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new InvalidJson('JSON must be valid UTF-8');
  }
}
