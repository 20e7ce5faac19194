// Brings the metadata functions of Reflect along.
import '@nestjs/common';
import {
  type ConfigClassDefinition,
  type ConfigClassOptions,
  type ConfigClassRef,
  type ConfigPropertyOptions,
} from '../../config/config-class.js';
import { InvalidArgumentError } from '../../errors.js';
import { validateDecorated, validatedProperties } from './class-validation.js';
import { secretsOf } from './secrets.js';
import { type StandardSchema, validateBySchema } from './standard-schema.js';

export interface DecoratedClassOptions extends ConfigClassOptions {
  /**
   * Validates instead of class-validator: any Standard Schema (Zod, Valibot, ArkType and others), synchronously. It is given the
   * properties by their names, and what it makes of them is assigned to an instance of the class.
   */
  readonly schema?: StandardSchema;
}

type Keys = ReadonlyMap<string, ConfigPropertyOptions>;

const optionsKey = Symbol.for('@conclave/client/nest/config-class');
const keysKey = Symbol.for('@conclave/client/nest/config-keys');

export function setClassOptions(target: object, options: DecoratedClassOptions): void {
  Reflect.defineMetadata(optionsKey, options, target);
}

/** Later lookups find what the classes above have too: nearer ones win. */
export function addKey(prototype: object, property: string, options: ConfigPropertyOptions): void {
  const inherited = Reflect.getMetadata(keysKey, prototype) as Keys | undefined;
  Reflect.defineMetadata(keysKey, new Map([...(inherited ?? []), [property, options]]), prototype);
}

const described = new WeakMap<object, ConfigClassDefinition<object>>();

/** What the SDK needs to know of a decorated class, or of one that extends it. */
export function describeClass(asked: ConfigClassRef<object>): ConfigClassDefinition<object> {
  let definition = described.get(asked);
  if (definition === undefined) {
    definition = definitionFor(asked);
    described.set(asked, definition);
  }
  return definition;
}

function definitionFor(configClass: ConfigClassRef<object>): ConfigClassDefinition<object> {
  const prototype = configClass.prototype as object;
  const options = Reflect.getMetadata(optionsKey, configClass) as DecoratedClassOptions | undefined;
  if (options === undefined) throw new InvalidArgumentError(`${configClass.name} has no @ConfigClass`);
  const { schema, ...where } = options;
  const keys = (Reflect.getMetadata(keysKey, prototype) as Keys | undefined) ?? new Map<string, never>();
  const secrets = secretsOf(prototype);
  const names = new Set([
    ...keys.keys(),
    ...secrets,
    ...(schema === undefined ? validatedProperties(configClass) : []),
    ...Object.keys(new configClass()),
  ]);
  const properties = Object.fromEntries(
    [...names].map((name) => [name, discreet(keys.get(name) ?? {}, secrets.has(name))]),
  );
  const paths = new Map([...names].map((name) => [name, properties[name]?.path ?? name]));
  const parsed = new Set([...names].filter((name) => properties[name]?.parse !== undefined));
  return {
    ...where,
    name: configClass.name,
    // A schema may know the properties that the class does not name.
    ...(schema !== undefined && names.size === 0 ? {} : { properties }),
    validate: (values) =>
      schema === undefined
        ? validateDecorated({ configClass, paths, parsed }, values)
        : validateBySchema({ configClass, paths, schema }, values),
  };
}

/** What a parser says about a secret may contain it. */
function discreet(options: ConfigPropertyOptions, isSecret: boolean): ConfigPropertyOptions {
  const { parse } = options;
  if (!isSecret || parse === undefined) return options;
  return {
    ...options,
    parse: (value) => {
      try {
        return parse(value);
      } catch {
        throw new InvalidArgumentError('cannot be parsed');
      }
    },
  };
}
