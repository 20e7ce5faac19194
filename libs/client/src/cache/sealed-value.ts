import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** A value under AES-256-GCM, in base64. */
export interface SealedValue {
  readonly iv: string;
  readonly data: string;
  readonly tag: string;
}

const algorithm = 'aes-256-gcm';

/**
 * Encrypts a value of a cache.
 *
 * @param key 32 bytes.
 * @param place the id of the cache and the key of the entry, which are authenticated with it: it opens nowhere else.
 */
export function seal(key: Uint8Array, place: readonly string[], value: Uint8Array): SealedValue {
  const iv = randomBytes(12);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(placeBytes(place));
  const data = Buffer.concat([cipher.update(value), cipher.final()]);
  return {
    iv: iv.toString('base64'),
    data: data.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
  };
}

/** The value, or undefined when the key is another one, the place is another one, or it was changed. */
export function unseal(key: Uint8Array, place: readonly string[], sealed: SealedValue): Buffer | undefined {
  const [iv, tag] = [Buffer.from(sealed.iv, 'base64'), Buffer.from(sealed.tag, 'base64')];
  if (iv.length !== 12 || tag.length !== 16) return undefined;
  const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: 16 })
    .setAAD(placeBytes(place))
    .setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(Buffer.from(sealed.data, 'base64')), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** JSON keeps the names apart, whatever they contain. */
function placeBytes(place: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify(place), 'utf8');
}
