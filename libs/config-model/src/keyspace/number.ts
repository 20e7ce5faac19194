import { ConfigModelError } from '../error.js';

const digits = 20;
const greatest = 2n ** 64n - 1n;

/**
 * A number as a segment of a key: 20 digits, so that keys sort by number.
 *
 * @throws ConfigModelError `invalid-key` when it is negative or does not fit 64 bits.
 */
export function encodeNumber(value: bigint): string {
  if (value < 0n || value > greatest) {
    throw new ConfigModelError('invalid-key', `${value} is outside 0 to ${greatest}`);
  }
  return value.toString().padStart(digits, '0');
}

/** @throws ConfigModelError `invalid-key` for anything but 20 digits of a number of 64 bits. */
export function decodeNumber(segment: string): bigint {
  const value = /^\d{20}$/.test(segment) ? BigInt(segment) : -1n;
  if (value < 0n || value > greatest) {
    throw new ConfigModelError('invalid-key', `'${segment}' is not a number as keys have it (20 digits)`);
  }
  return value;
}
