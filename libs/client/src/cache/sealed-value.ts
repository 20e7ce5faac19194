import { Buffer } from 'node:buffer';
import { decrypted, encrypted } from './aes-gcm.js';

/** A value under AES-256-GCM, in base64. */
export interface SealedValue {
  readonly iv: string;
  readonly data: string;
  readonly tag: string;
}

/**
 * Encrypts a value of a cache.
 *
 * @param key 32 bytes.
 * @param place the id of the cache and the key of the entry: it opens nowhere else.
 */
export function seal(key: Uint8Array, place: readonly string[], value: Uint8Array): SealedValue {
  const { iv, data, tag } = encrypted(key, place, value);
  return { iv: base64(iv), data: base64(data), tag: base64(tag) };
}

/** The value, or undefined when the key is another one, the place is another one, or it was changed. */
export function unseal(key: Uint8Array, place: readonly string[], sealed: SealedValue): Buffer | undefined {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
  return decrypted(key, place, { iv: bytes(sealed.iv), data: bytes(sealed.data), tag: bytes(sealed.tag) });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
