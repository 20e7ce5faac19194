import { Buffer } from 'node:buffer';
import { InvalidArgumentError } from './errors.js';

/** A key: text is taken as UTF-8; bytes as they are. */
export type Key = string | Uint8Array;

/** A value to write: text is taken as UTF-8; bytes as they are. */
export type Value = string | Uint8Array;

/** A range on the wire: `end` is exclusive; empty means the one key `start`, a single zero byte means no end. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
}

/** Which keys around a key are meant; exactly the key itself when nothing is given. */
export interface RangeSelection {
  /** Every key that starts with the key; with the empty key every key of the namespace. */
  readonly prefix?: boolean;
  /** Every key from the key up to this one, which is not included; the empty one means without an end. */
  readonly rangeEnd?: Key;
}

const zero = Buffer.of(0);
const nothing = Buffer.alloc(0);

export function bytesOf(value: Key | Value): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** The least key that is greater than every key with this prefix; a zero byte when there is none. */
export function prefixEnd(prefix: Buffer): Buffer {
  for (let i = prefix.length - 1; i >= 0; i -= 1) {
    const byte = prefix[i] ?? 0xff;
    if (byte === 0xff) continue;
    const end = Buffer.from(prefix.subarray(0, i + 1));
    end[i] = byte + 1;
    return end;
  }
  return zero;
}

/** Keys of the config center are the same for every client, whatever its prefix. */
const unprefixed = Buffer.from('/conclave/');

/**
 * The client's key prefix: put before every key that is sent, taken off every key that arrives. It is never applied to
 * keys under `/conclave/`.
 */
export class KeyNamespace {
  private readonly prefix: Buffer;

  constructor(prefix: string) {
    this.prefix = Buffer.from(prefix, 'utf8');
  }

  /** @throws InvalidArgumentError for an empty key, which etcd does not have. */
  key(key: Key): Buffer {
    const bytes = bytesOf(key);
    if (bytes.length === 0) throw new InvalidArgumentError('key: is empty; a key has at least one byte');
    return this.absolute(bytes);
  }

  /** @throws InvalidArgumentError when both a prefix and a range end are asked for, or an empty single key. */
  range(key: Key, selection: RangeSelection = {}): KeyRange {
    const bytes = bytesOf(key);
    const { prefix = false, rangeEnd } = selection;
    if (prefix && rangeEnd !== undefined) {
      throw new InvalidArgumentError('prefix and rangeEnd: give one of them, they select different keys');
    }
    if (!prefix && rangeEnd === undefined) return { start: this.key(bytes), end: nothing };
    const start = this.absolute(bytes);
    const from = start.length === 0 ? zero : start;
    if (prefix) return { start: from, end: start.length === 0 ? zero : prefixEnd(start) };
    const end = bytesOf(rangeEnd ?? nothing);
    if (end.length > 0)
      return { start: from, end: this.sharesPrefix(bytes) ? this.absolute(end, true) : end };
    return { start: from, end: this.prefix.length === 0 ? zero : prefixEnd(this.prefix) };
  }

  /** The key as the caller knows it. */
  strip(key: Buffer): Buffer {
    if (this.prefix.length === 0 || !startsWith(key, this.prefix)) return key;
    return key.subarray(this.prefix.length);
  }

  private sharesPrefix(key: Buffer): boolean {
    return this.prefix.length > 0 && !startsWith(key, unprefixed);
  }

  private absolute(key: Buffer, force = false): Buffer {
    return force || this.sharesPrefix(key) ? Buffer.concat([this.prefix, key]) : key;
  }
}

function startsWith(key: Buffer, prefix: Buffer): boolean {
  return key.length >= prefix.length && key.subarray(0, prefix.length).equals(prefix);
}
