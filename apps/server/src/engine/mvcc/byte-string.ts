import { Buffer } from 'node:buffer';
import { type ByteString } from '../backend/backend.js';

/** Below this length a loop is faster than a call into the runtime. */
const SHORT = 12;

/** Writes a byte string and returns the position behind it. */
export function writeByteString(target: Buffer, at: number, value: ByteString): number {
  const { length } = value;
  if (length > SHORT) return at + target.write(value, at, length, 'latin1');
  for (let index = 0; index < length; index++) target[at + index] = value.charCodeAt(index);
  return at + length;
}

/** The bytes `start` to `end` as a byte string. */
export function readByteString(bytes: Uint8Array, start: number, end: number): ByteString {
  return asBuffer(bytes).toString('latin1', start, end);
}

/** The same bytes as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
