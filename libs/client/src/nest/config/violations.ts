import { inspect } from 'node:util';
import { secretsOf } from './secrets.js';

/** What class-validator says about one property. */
export interface PropertyError {
  readonly property: string;
  readonly target?: object;
  readonly value?: unknown;
  readonly constraints?: Readonly<Record<string, string>>;
  readonly children?: readonly PropertyError[];
}

/** One sentence for each rule that is broken, after the path in the document: `retry.max: must not be greater than 10, is 99`. */
export function violationsOf(
  errors: readonly PropertyError[],
  paths: ReadonlyMap<string, string>,
): readonly string[] {
  return errors.flatMap((error) => sentences(error, paths.get(error.property) ?? error.property, false));
}

function sentences(error: PropertyError, path: string, isBelowSecret: boolean): string[] {
  const { property, target, value, constraints = {}, children = [] } = error;
  const isSecret = isBelowSecret || (target !== undefined && secretsOf(target).has(property));
  const own = Object.entries(constraints).map(([rule, message]) => {
    const words = message.startsWith(`${property} `) ? message.slice(property.length + 1) : message;
    if (isSecret) return `${path}: ${withoutSecret(words, value, rule)}`;
    return `${path}: ${words}${shown(value)}`;
  });
  const below = children.flatMap((child) => {
    const step = Array.isArray(value) ? `[${child.property}]` : `.${child.property}`;
    return sentences(child, `${path}${step}`, isSecret);
  });
  return [...own, ...below];
}

/** The words, unless the value stands in them: messages of own rules may contain it. */
export function withoutSecret(words: string, value: unknown, rule: string): string {
  const isTold = (typeof value === 'string' && value !== '') || typeof value === 'number';
  return isTold && words.includes(String(value)) ? `does not satisfy ${rule}` : words;
}

function shown(value: unknown): string {
  if (value === undefined) return ', is missing';
  if (typeof value === 'object' && value !== null) return '';
  return `, is ${inspect(value, { maxStringLength: 100 })}`;
}
