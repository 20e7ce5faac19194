import { type ConfigClassRef } from '../../config/config-class.js';
import { type ConfigRef } from '../../config/config-ref.js';

/**
 * An object of the class whose properties always read the newest value. Two reads, with an `await` between, may be of two releases: for
 * values that belong together take a {@link ConfigRef}, and keep its `value`.
 */
export function configProxy<C extends object>(
  configClass: ConfigClassRef<C>,
  ref: ConfigRef<C>,
): Readonly<C> {
  const refuse = (): never => {
    throw new TypeError(`${configClass.name} is configuration, and read only: change it in the store`);
  };
  return new Proxy(Object.create(configClass.prototype as object) as C, {
    get: (_, property) => Reflect.get(ref.value, property, ref.value) as unknown,
    has: (_, property) => Reflect.has(ref.value, property),
    ownKeys: () => Reflect.ownKeys(ref.value),
    getOwnPropertyDescriptor: (_, property) => {
      const found = Reflect.getOwnPropertyDescriptor(ref.value, property);
      // The object behind the proxy has none of them, so they cannot be told to be fixed.
      return found && { ...found, configurable: true };
    },
    set: refuse,
    defineProperty: refuse,
    deleteProperty: refuse,
    setPrototypeOf: refuse,
  });
}
