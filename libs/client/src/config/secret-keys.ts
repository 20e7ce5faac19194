import { Buffer } from 'node:buffer';
import {
  ConfigModelError,
  formatSealed,
  isKeyId,
  type NamespaceId,
  parseSealed,
  sealedPlace,
} from '@conclave/config-model';
import { decrypted, encrypted } from '../cache/aes-gcm.js';
import { InvalidArgumentError } from '../errors.js';

/** Where a value stands, which is authenticated with it. */
export interface SecretPlace {
  readonly id: NamespaceId;
  /** A value in a list has the path of the list. */
  readonly path: string;
}

const keyBytes = 32;

/** The keys with which an app opens values that were sealed for it. */
export class SecretKeys {
  private readonly keys: ReadonlyMap<string, Uint8Array>;

  /** @throws InvalidArgumentError that tells of every key that is none. */
  constructor(keys: Readonly<Record<string, Uint8Array>>) {
    const wrong: string[] = [];
    for (const [id, key] of Object.entries(keys)) {
      if (!isKeyId(id)) wrong.push(`'${id}' is no id of a key (1 to 63 of A-Z, a-z, 0-9, '.', '_', '-')`);
      if (!(key instanceof Uint8Array) || key.length !== keyBytes)
        wrong.push(`'${id}' is not a Uint8Array of ${keyBytes} bytes`);
    }
    if (wrong.length > 0) throw new InvalidArgumentError(`config.secretKeys: ${wrong.join('; ')}`);
    this.keys = new Map(Object.entries(keys));
  }

  /**
   * The text in clear.
   *
   * @throws ConfigModelError `invalid-secret` or `newer-format` with the reason, which says nothing of the content.
   */
  open(text: string, { id, path }: SecretPlace): string {
    const sealed = parseSealed(text);
    const key = this.keys.get(sealed.keyId);
    if (key === undefined) {
      throw new ConfigModelError(
        'invalid-secret',
        `it is sealed with the key '${sealed.keyId}', which config.secretKeys does not have`,
      );
    }
    const opened = decrypted(key, sealedPlace(id, path), sealed);
    if (opened === undefined) {
      throw new ConfigModelError(
        'invalid-secret',
        `the key '${sealed.keyId}' does not open it: it was sealed with another key of this id, for another place, or changed; seal it again here`,
      );
    }
    return opened.toString('utf8');
  }
}

/** Seals a text for one place, as the center does. @throws ConfigModelError `invalid-secret` for an id that is none. */
export function sealSecret(keyId: string, key: Uint8Array, { id, path }: SecretPlace, text: string): string {
  return formatSealed({ keyId, ...encrypted(key, sealedPlace(id, path), Buffer.from(text, 'utf8')) });
}
