import { Buffer } from 'node:buffer';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** Bytes under AES-256-GCM. */
export interface Encrypted {
  /** 12 bytes, chosen anew each time. */
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
  /** 16 bytes. */
  readonly tag: Uint8Array;
}

const algorithm = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;

/**
 * @param key 32 bytes.
 * @param place names of where it will stand, which are authenticated with it: it is decrypted nowhere else.
 */
export function encrypted(key: Uint8Array, place: readonly string[], value: Uint8Array): Encrypted {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(placeBytes(place));
  const data = Buffer.concat([cipher.update(value), cipher.final()]);
  return { iv, data, tag: cipher.getAuthTag() };
}

/** The value, or undefined when the key is another one, the place is another one, or it was changed. */
export function decrypted(key: Uint8Array, place: readonly string[], from: Encrypted): Buffer | undefined {
  const { iv, data, tag } = from;
  if (iv.length !== ivBytes || tag.length !== tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagBytes })
    .setAAD(placeBytes(place))
    .setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(data), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** JSON keeps the names apart, whatever they contain. */
function placeBytes(place: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(place), 'utf8');
}
