import { ConfigModelError } from '../error.js';
import { type NamespaceId } from '../keyspace/keys.js';

/** A value that was encrypted for one app (AES-256-GCM), taken apart. */
export interface SealedText {
  /** Which of the app's keys opens it. */
  readonly keyId: string;
  /** 12 bytes. */
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
  /** 16 bytes. */
  readonly tag: Uint8Array;
}

const version = 1;
const ivBytes = 12;
const tagBytes = 16;
/** Any version: what a newer program wrote is not taken for text in clear. */
const sealed = /^enc:v([0-9]{1,9}):/;
const sealedNow = /^enc:v1:([A-Za-z0-9._-]{1,63}):([A-Za-z0-9_-]+)$/;

/** True for text that begins as a sealed value does, whether it can be read or not. */
export function isSealed(text: string): boolean {
  return sealed.test(text);
}

/** True for what can stand as the name of a key in a sealed value: 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-'. */
export function isKeyId(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,63}$/.test(name);
}

/**
 * Reads `enc:v1:<key id>:<base64url of iv, data and tag>`.
 *
 * @throws ConfigModelError `newer-format`, or `invalid-secret` when it is damaged.
 */
export function parseSealed(text: string): SealedText {
  const found = Number(sealed.exec(text)?.[1]);
  if (found > version) {
    throw new ConfigModelError(
      'newer-format',
      `it is sealed in the format version ${found}, this program reads ${version}; upgrade it`,
    );
  }
  const [, keyId, body] = sealedNow.exec(text) ?? [];
  const bytes = body === undefined ? undefined : bytesOf(body);
  if (keyId === undefined || bytes === undefined || bytes.length < ivBytes + tagBytes) {
    throw new ConfigModelError(
      'invalid-secret',
      'it is damaged: a sealed value is enc:v1:<key id>:<base64url of 28 bytes or more>',
    );
  }
  return {
    keyId,
    iv: bytes.subarray(0, ivBytes),
    data: bytes.subarray(ivBytes, bytes.length - tagBytes),
    tag: bytes.subarray(bytes.length - tagBytes),
  };
}

/** The text that {@link parseSealed} reads. @throws ConfigModelError `invalid-secret` for parts that cannot be of one. */
export function formatSealed({ keyId, iv, data, tag }: SealedText): string {
  if (!isKeyId(keyId) || iv.length !== ivBytes || tag.length !== tagBytes) {
    throw new ConfigModelError(
      'invalid-secret',
      `a sealed value has a key id of 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', an iv of ${ivBytes} and a tag of ${tagBytes} bytes`,
    );
  }
  const characters = [iv, data, tag].flatMap((bytes) => [...bytes]).map((byte) => String.fromCharCode(byte));
  const body = btoa(characters.join('')).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return `enc:v${version}:${keyId}:${body}`;
}

/**
 * Where a sealed value stands: authenticated with it, so that it opens nowhere else. A value in a list has the path of the list.
 */
export function sealedPlace(id: NamespaceId, path: string): readonly string[] {
  return [id.env, id.app, id.namespace, path];
}

/** Undefined when it is no base64url. */
function bytesOf(body: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}
