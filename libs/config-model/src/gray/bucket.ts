/** Buckets that shares are counted in: one is a hundredth of a percent. */
export const buckets = 10_000;

/**
 * The bucket of a name, 0 to 9,999: MurmurHash3 (x86, 32 bit, seed 0) over the UTF-8 bytes of `salt`, a zero byte and `name`. It
 * never changes: another value for the same name would move instances between releases.
 */
export function bucketOf(salt: string, name: string): number {
  return murmur3(new TextEncoder().encode(`${salt}\0${name}`)) % buckets;
}

/** True when the bucket lies in the share, in percent. Growing the share keeps everyone who was in. */
export function isInShare(bucket: number, share: number): boolean {
  return bucket < Math.round(share * (buckets / 100));
}

/** MurmurHash3_x86_32 (Appleby, 2011) with seed 0. */
export function murmur3(bytes: Uint8Array): number {
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let at = 0; at < whole; at += 4) {
    const block =
      byteAt(bytes, at) |
      (byteAt(bytes, at + 1) << 8) |
      (byteAt(bytes, at + 2) << 16) |
      (byteAt(bytes, at + 3) << 24);
    hash = rotate(hash ^ scramble(block), 13);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= whole; at -= 1) tail = (tail << 8) | byteAt(bytes, at);
  if (whole < bytes.length) hash ^= scramble(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  return Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
