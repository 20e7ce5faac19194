import { type ConfigPropertyOptions, describeConfigClass } from '../../config/config-class.js';
import { InvalidArgumentError } from '../../errors.js';
import { addKey, type DecoratedClassOptions, describeClass, setClassOptions } from './class-metadata.js';
import { addSecret } from './secrets.js';

/**
 * A class whose properties are configuration: those with {@link ConfigKey}, those with a decorator of class-validator, and those that an
 * instance has from its initializers, which are its defaults. It is validated as a whole; its values are frozen instances of it. A class
 * that extends it inherits everything, and may be decorated again.
 *
 * Strings become numbers, booleans and bigints where a property is declared so and the text is one; nested classes need
 * `@ValidateNested()`, and lists of them `@Type(() => Item)` too. Needs class-validator and class-transformer, or a `schema`.
 *
 * @throws InvalidArgumentError when there is neither a namespace nor keys, or both.
 */
export function ConfigClass(options: DecoratedClassOptions): ClassDecorator {
  return (target) => {
    if ((options.namespace === undefined) === (options.keys === undefined)) {
      throw new InvalidArgumentError(`@ConfigClass of ${target.name}: give it either a namespace or keys`);
    }
    setClassOptions(target, options);
    describeConfigClass(target, describeClass);
  };
}

/** Where a property comes from, when its name does not say it: its path in the document, its default, a variable that wins. */
export function ConfigKey(
  path: string,
  options: Omit<ConfigPropertyOptions, 'path'> = {},
): PropertyDecorator {
  return (prototype, property) => addKey(prototype, nameOf(property), { ...options, path });
}

/** The value stands in no message, no log and no JSON: an object with it shows `[redacted]` in its place. */
export function Secret(): PropertyDecorator {
  return (prototype, property) => addSecret(prototype, nameOf(property));
}

function nameOf(property: string | symbol): string {
  if (typeof property === 'symbol') {
    throw new InvalidArgumentError(`${String(property)} cannot be configuration: its name is a symbol`);
  }
  return property;
}
