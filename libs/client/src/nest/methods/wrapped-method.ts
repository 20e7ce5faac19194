import { InvalidArgumentError } from '../../errors.js';
import { type MarkedParameters, markedParameters } from './marked-parameters.js';

/** What a decorator that answers later can be put on. */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;

/** Refuses, when compiled, a method that may be left out without saying so in its type. */
export type Skippable<M> = M extends (...args: never) => Promise<infer R>
  ? undefined extends R
    ? unknown
    : { readonly 'it may be skipped: declare Promise<… | undefined>, or throw instead of skipping': never }
  : unknown;

/** One call of a wrapped method. */
export interface MethodCall {
  /** `this` of the call; an empty object for a function that was taken off its object. */
  readonly instance: object;
  readonly args: readonly unknown[];
  /** Calls what was wrapped, with the marked parameters filled. */
  proceed(parameters?: MarkedParameters): Promise<unknown>;
}

/** The method that a decorator stands on. */
export interface MethodSite {
  /** `Class.method`, for messages. */
  readonly title: string;
  readonly parameters: readonly (readonly [index: number, mark: keyof MarkedParameters])[];
}

type AnyMethod = (...args: unknown[]) => unknown;

/**
 * Replaces a method by one that decides whether and under what the original is called. At decoration, since other decorators, and
 * frameworks that read their metadata, keep the function that they find: all metadata of the original is on the new one, and its name
 * and length.
 *
 * @throws InvalidArgumentError when it is no method, or declares to return something that is no promise.
 */
export function wrapMethod(
  decorator: string,
  target: object,
  key: string | symbol,
  descriptor: PropertyDescriptor | undefined,
  around: (call: MethodCall, site: MethodSite) => Promise<unknown>,
): AnyMethod {
  const original = descriptor?.value as AnyMethod | undefined;
  const title = `${classNameOf(target)}.${String(key)}`;
  if (typeof original !== 'function' || descriptor === undefined)
    throw new InvalidArgumentError(`${decorator} on ${title}: it belongs on a method`);
  refuseSync(decorator, title, original, Reflect.getMetadata('design:returntype', target, key));
  const site: MethodSite = { title, parameters: markedParameters(target, key) };
  // An async function, so that whatever goes wrong before the method is a rejection.
  const wrapper = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
    const proceed = async (values?: MarkedParameters): Promise<unknown> =>
      original.apply(this, values === undefined ? args : filled(args, site, values));
    return around({ instance: Object(this) as object, args, proceed }, site);
  };
  copyIdentity(original, wrapper);
  descriptor.value = wrapper;
  return wrapper;
}

function classNameOf(target: object): string {
  return typeof target === 'function' ? target.name : target.constructor.name;
}

/** What is declared to return nothing, or has no declaration, cannot be told from a function that returns a promise. */
function refuseSync(decorator: string, title: string, original: AnyMethod, declared: unknown): void {
  if (typeof declared !== 'function' || declared === Promise || declared === Object) return;
  if (Object.prototype.toString.call(original) === '[object AsyncFunction]') return;
  throw new InvalidArgumentError(
    `${decorator} on ${title}: it returns ${declared.name}, and the caller would get a promise of it: make the method async`,
  );
}

function filled(args: readonly unknown[], site: MethodSite, values: MarkedParameters): unknown[] {
  const all = [...args];
  for (const [index, mark] of site.parameters) {
    if (mark in values) all[index] = merged(all[index], values[mark]);
  }
  return all;
}

/** A signal that the caller, or a decorator above, gave counts as well. */
function merged(given: unknown, value: unknown): unknown {
  if (!(given instanceof AbortSignal) || !(value instanceof AbortSignal)) return value;
  return AbortSignal.any([given, value]);
}

function copyIdentity(from: AnyMethod, to: object): void {
  for (const name of ['name', 'length'] as const)
    Object.defineProperty(to, name, { value: from[name], configurable: true });
  for (const key of Reflect.getMetadataKeys(from) as (string | symbol)[])
    Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
}

/** Adds to the list that the explorer finds on the method under this key. */
export function addToMethod<T>(key: symbol, item: T, method: object): void {
  const known = (Reflect.getMetadata(key, method) ?? []) as readonly T[];
  Reflect.defineMetadata(key, [...known, item], method);
}
