import {
  ConfigModelError,
  type ConfigValue,
  type EffectiveDocument,
  isSealed,
  isTree,
  parseRef,
  unflatten,
} from '@conclave/config-model';
import { type ValueOrigin } from './document-view.js';
import { type SecretKeys, type SecretPlace } from './secret-keys.js';

/** What opens the values of a document. */
export interface SecretOpening {
  readonly keys: SecretKeys;
  readonly env: string;
  /** `app/namespace` of the document, for values whose origin names no namespace. */
  readonly name: string;
}

/**
 * The document with its sealed values in clear; their origins say `secret`. A value that a public namespace gives is opened with the
 * place where it stands there.
 *
 * @throws ConfigModelError `invalid-secret` that tells of every value that cannot be opened.
 */
export function openedDocument(
  document: EffectiveDocument<ValueOrigin>,
  opening: SecretOpening,
): EffectiveDocument<ValueOrigin> {
  const hasSecrets = [...document.values.values()].some(containsSealed);
  if (!hasSecrets) return document;
  const values = new Map(document.values);
  const origins = new Map(document.origins);
  const refused: string[] = [];
  for (const [path, value] of document.values) {
    if (!containsSealed(value)) continue;
    const origin = document.origins.get(path);
    const id = { ...parseRef(origin?.namespace ?? opening.name), env: opening.env };
    try {
      values.set(path, opened(value, { id, path }, opening.keys));
      if (origin !== undefined) origins.set(path, { ...origin, secret: true });
    } catch (error) {
      if (!(error instanceof ConfigModelError)) throw error;
      refused.push(`'${path}' cannot be opened: ${error.message}`);
    }
  }
  if (refused.length > 0) throw new ConfigModelError('invalid-secret', refused.join('; '));
  const tree = document.format === 'text' ? {} : unflatten(values);
  return { format: document.format, values, origins, tree };
}

function containsSealed(value: ConfigValue): boolean {
  if (typeof value === 'string') return isSealed(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some((member) => containsSealed(member as ConfigValue));
}

function opened(value: ConfigValue, place: SecretPlace, keys: SecretKeys): ConfigValue {
  if (typeof value === 'string') return isSealed(value) ? keys.open(value, place) : value;
  if (Array.isArray(value)) return value.map((item) => opened(item as ConfigValue, place, keys));
  if (!isTree(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, opened(member, place, keys)]),
  );
}
