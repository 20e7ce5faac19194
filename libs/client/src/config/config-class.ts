import { type ConfigTree, type ConfigValue } from '@conclave/config-model';
import { InvalidArgumentError } from '../errors.js';

/** Where the values of a class stand, and what happens to invalid ones. */
export interface ConfigClassOptions {
  /** A namespace of the app, or `app/namespace` of a public one. */
  readonly namespace?: string;
  /** Instead of a namespace: plain keys under this prefix, one per path; works on a store without a center. Not cached. */
  readonly keys?: string;
  /**
   * `keep-last` (default): an invalid release leaves the last good value in force; at the start the last good one is that of the cache,
   * and without it the start fails. `fail`: an invalid release fails the start in any case, and is kept out after it all the same.
   */
  readonly onInvalid?: 'keep-last' | 'fail';
}

/** Where one property comes from. */
export interface ConfigPropertyOptions<T = unknown> {
  /** In the document; default: the name of the property. */
  readonly path?: string;
  readonly default?: T;
  /** This environment variable wins over the store. */
  readonly env?: string;
  /** Makes the property of the raw value; what it throws is a violation. Default: the raw value. The default is not parsed. */
  readonly parse?: (value: ConfigValue) => T;
}

export type ConfigValidation<C> = { readonly value: C } | { readonly violations: readonly string[] };

export interface ConfigClassDefinition<C extends object> extends ConfigClassOptions {
  /** For messages and the status. */
  readonly name: string;
  /** Default: the members of the document as they are. */
  readonly properties?: Readonly<Record<string, ConfigPropertyOptions>>;
  /** Judges the whole set of values, of one revision. What it throws is a violation. */
  readonly validate: (values: ConfigTree) => ConfigValidation<C>;
}

/** A class whose properties are read from a namespace. */
export interface ConfigClassRef<C extends object> {
  new (): C;
}

/** Shared by all copies of the SDK in one process. */
const definition = Symbol.for('@conclave/client/config-class');

/**
 * A config class made of a plain description and a validating function, for any schema library. `client.config.ref` reads it.
 *
 * @throws InvalidArgumentError when it has both a namespace and keys, or neither.
 */
export function configClass<C extends object>(options: ConfigClassDefinition<C>): ConfigClassRef<C> {
  if ((options.namespace === undefined) === (options.keys === undefined)) {
    throw new InvalidArgumentError(`the config class ${options.name}: give it either a namespace or keys`);
  }
  const made = class {};
  Object.defineProperty(made, 'name', { value: options.name });
  Object.defineProperty(made, definition, { value: options });
  return made as unknown as ConfigClassRef<C>;
}

/**
 * Makes an existing class one that `client.config.ref` reads. `describe` is called with the class that is asked about, which may be one
 * that extends it.
 */
export function describeConfigClass(
  target: object,
  describe: (asked: ConfigClassRef<object>) => ConfigClassDefinition<object>,
): void {
  Object.defineProperty(target, definition, {
    get(this: ConfigClassRef<object>) {
      return describe(this);
    },
    configurable: true,
  });
}

/** @throws InvalidArgumentError for a class that is none. */
export function definitionOf<C extends object>(ref: ConfigClassRef<C>): ConfigClassDefinition<C> {
  const found = (ref as unknown as Record<symbol, ConfigClassDefinition<C> | undefined>)[definition];
  if (found === undefined) {
    throw new InvalidArgumentError(
      `${ref.name || 'this'} is not a config class; make one with configClass(…)`,
    );
  }
  return found;
}
