import { inspect } from 'node:util';
import { secretsOf } from './secrets.js';
import { isInstanceOfClass } from './declared-types.js';

/** What stands in the place of a secret. */
export const redacted = '[redacted]';

/**
 * Freezes an instance with everything below it that was made from the document, and makes those with secrets show `[redacted]` instead
 * when they are logged or written as JSON. What a parser made (`exempt`) stays as it is.
 */
export function frozenAndDiscreet<C extends object>(instance: C, exempt: ReadonlySet<string>): C {
  for (const [name, value] of Object.entries(instance)) {
    if (!exempt.has(name)) freeze(value);
  }
  return Object.freeze(discreet(instance));
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  const isOwn = isInstanceOfClass(value);
  if (!isOwn && Object.prototype.toString.call(value) !== '[object Object]' && !Array.isArray(value)) return;
  for (const member of Object.values(value)) freeze(member);
  Object.freeze(isOwn ? discreet(value) : value);
}

function discreet<C extends object>(instance: C): C {
  const secrets = secretsOf(Object.getPrototypeOf(instance) as object);
  if (secrets.size === 0) return instance;
  const shown = (): object => {
    const hidden = [...secrets].filter((name) => name in instance).map((name) => [name, redacted]);
    const copy = Object.create(Object.getPrototypeOf(instance) as object) as object;
    return Object.assign(copy, instance, Object.fromEntries(hidden));
  };
  if (!('toJSON' in instance)) Object.defineProperty(instance, 'toJSON', { value: () => ({ ...shown() }) });
  if (!(inspect.custom in instance)) Object.defineProperty(instance, inspect.custom, { value: shown });
  return instance;
}
