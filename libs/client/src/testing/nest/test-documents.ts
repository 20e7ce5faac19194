import { type ConfigTree, type ConfigValue, flatten, isTree, unflatten } from '@conclave/config-model';
import { InvalidArgumentError } from '../../errors.js';

/** Values of one namespace by dotted path; an object stands for all paths below it, null takes a path away. */
export type TestValues = Readonly<Record<string, unknown>>;

/**
 * The values after a change, by path.
 *
 * @throws InvalidArgumentError with every value that no document can hold.
 */
export function withChanges(
  before: ReadonlyMap<string, ConfigValue>,
  changes: TestValues,
  namespace: string,
): ReadonlyMap<string, ConfigValue> {
  const wrong = Object.entries(changes).filter(([, value]) => !isConfigValue(value));
  if (wrong.length > 0) {
    const paths = wrong.map(([path, value]) => `${path} (${typeof value})`).join(', ');
    throw new InvalidArgumentError(
      `${namespace}: ${paths}: a value is a string, a number, a boolean, null, or a list or an object of these`,
    );
  }
  const after = new Map(before);
  for (const [path, value] of Object.entries(changes)) {
    for (const known of [...after.keys()])
      if (known === path || known.startsWith(`${path}.`)) after.delete(known);
    for (const [leaf, leafValue] of leaves(path, value as ConfigValue)) after.set(leaf, leafValue);
  }
  return after;
}

/** The document with these values, in JSON. */
export function documentOf(values: ReadonlyMap<string, ConfigValue>): string {
  return JSON.stringify(unflatten(values), undefined, 2);
}

function leaves(path: string, value: ConfigValue): readonly (readonly [string, ConfigValue])[] {
  if (value === null) return [];
  if (!isTree(value) || Object.keys(value).length === 0) return [[path, value]];
  return [...flatten(value as ConfigTree)].map(([below, leaf]) => [`${path}.${below}`, leaf] as const);
}

function isConfigValue(value: unknown): boolean {
  if (value === null || ['string', 'boolean'].includes(typeof value)) return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isConfigValue);
  const isPlain =
    typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value) as null);
  return isPlain && Object.values(value as object).every(isConfigValue);
}
