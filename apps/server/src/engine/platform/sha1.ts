import { createHash } from 'node:crypto';

/** The first eight bytes of the SHA-1 digest of a text, as an unsigned number, most significant byte first. */
export function sha1Prefix(text: string): bigint {
  return createHash('sha1').update(text).digest().readBigUInt64BE(0);
}
