import { Buffer } from 'node:buffer';
import { type ByteString } from './backend.js';
import { BackendError } from './backend-error.js';

/**
 * A row of `odd` holds all keys of one table that begin with the same 1,900 bytes: a sorted list of what follows those
 * bytes (`rest`) and the value. Lengths are u32 little endian:
 *
 *     03 00 00 00 | 02 00 00 00 | 'a' 'b' 'c' | 07 08 | …
 *     rest bytes    value bytes   rest          value   next entry
 *
 * The empty key has a row of its own, with one entry whose rest is empty.
 */
export interface OddEntry {
  readonly rest: ByteString;
  readonly value: Uint8Array;
}

const HEADER_BYTES = 8;

/** @throws BackendError when the list does not end with the row. */
export function decodeOddRow(row: Uint8Array): OddEntry[] {
  const bytes = Buffer.from(row);
  const entries: OddEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    const start = at + HEADER_BYTES;
    const restEnd = start <= bytes.length ? start + bytes.readUInt32LE(at) : Infinity;
    const end = start <= bytes.length ? restEnd + bytes.readUInt32LE(at + 4) : Infinity;
    if (end > bytes.length)
      throw new BackendError('damaged-file', 'A row of long keys ends inside an entry.');
    entries.push({ rest: bytes.toString('latin1', start, restEnd), value: bytes.subarray(restEnd, end) });
    at = end;
  }
  return entries;
}

export function encodeOddRow(entries: readonly OddEntry[]): Uint8Array {
  const size = entries.reduce((sum, entry) => sum + HEADER_BYTES + entry.rest.length + entry.value.length, 0);
  const bytes = Buffer.alloc(size);
  let at = 0;
  for (const { rest, value } of entries) {
    bytes.writeUInt32LE(rest.length, at);
    bytes.writeUInt32LE(value.length, at + 4);
    bytes.write(rest, at + HEADER_BYTES, 'latin1');
    bytes.set(value, at + HEADER_BYTES + rest.length);
    at += HEADER_BYTES + rest.length + value.length;
  }
  return bytes;
}

/** The list with one entry set, or removed when `value` is undefined. */
export function changeOddEntry(
  entries: readonly OddEntry[],
  rest: ByteString,
  value: Uint8Array | undefined,
): OddEntry[] {
  const changed = entries.filter((entry) => entry.rest !== rest);
  if (value === undefined) return changed;
  const place = changed.findIndex((entry) => entry.rest > rest);
  changed.splice(place < 0 ? changed.length : place, 0, { rest, value });
  return changed;
}
