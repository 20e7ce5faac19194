import { type ConfigTree, type ConfigValue, isTree, valueAt } from '@conclave/config-model';
import {
  type ConfigClassDefinition,
  type ConfigPropertyOptions,
  type ConfigValidation,
} from './config-class.js';
import { type ConfigSettings } from './config-options.js';
import { type DocumentView } from './document-view.js';
import { deepFrozen } from './effective-document.js';

/** Where the values that are in no document come from. */
export type ValueSurroundings = Pick<ConfigSettings, 'environment' | 'moduleValue'>;

/** The value of a class from one view: the whole set, judged as one. Never throws. */
export function evaluateClass<C extends object>(
  definition: ConfigClassDefinition<C>,
  view: DocumentView,
  surroundings: ValueSurroundings,
): ConfigValidation<C> {
  const violations: string[] = [];
  const values: Record<string, ConfigValue> = {};
  if (definition.properties === undefined) Object.assign(values, view.tree);
  for (const [property, options] of Object.entries(definition.properties ?? {})) {
    try {
      const value = propertyValue(property, options, view, surroundings);
      if (value !== undefined) values[property] = value as ConfigValue;
    } catch (error) {
      violations.push(`${property}: ${messageOf(error)}`);
    }
  }
  if (violations.length > 0) return { violations: withoutSecrets(violations, view) };
  try {
    const result = definition.validate(values);
    return 'violations' in result ? { violations: withoutSecrets(result.violations, view) } : result;
  } catch (error) {
    return { violations: withoutSecrets([messageOf(error)], view) };
  }
}

/** Messages go into logs and reports: what was sealed must not stand in them. */
function withoutSecrets(messages: readonly string[], view: DocumentView): readonly string[] {
  const secrets = [...view.origins]
    .filter(([, origin]) => origin.secret === true)
    .flatMap(([path]) => textsIn(view.values.get(path)));
  return messages.map((message) =>
    secrets.reduce((text, secret) => (secret === '' ? text : text.replaceAll(secret, '[secret]')), message),
  );
}

function textsIn(value: ConfigValue | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((member) => textsIn(member as ConfigValue));
}

/** Override, environment, server or cache, module, default: the first that has one. */
function propertyValue(
  property: string,
  options: ConfigPropertyOptions,
  view: DocumentView,
  { environment, moduleValue }: ValueSurroundings,
): unknown {
  const path = options.path ?? property;
  const inDocument = documentValue(view, path);
  const inEnvironment = options.env === undefined ? undefined : environment[options.env];
  const raw = isOverridden(view, path)
    ? inDocument
    : (inEnvironment ?? inDocument ?? moduleValue(path, view.namespace));
  if (raw === undefined) return options.default;
  return options.parse === undefined ? raw : options.parse(raw);
}

function documentValue(view: DocumentView, path: string): ConfigValue | undefined {
  return view.values.get(path) ?? (view.format === 'text' ? undefined : valueAt(view.tree, path));
}

/** True when the override file says something about the path, or about a part of it. */
export function isOverridden(view: DocumentView, path: string): boolean {
  for (const [at, origin] of view.origins) {
    if (
      origin.source === 'override' &&
      (at === path || at.startsWith(`${path}.`) || path.startsWith(`${at}.`))
    )
      return true;
  }
  return false;
}

/** Freezes the value: its own members, and plain objects and lists below them. Instances of other classes stay as they are. */
export function frozenValue<C extends object>(value: C): Readonly<C> {
  for (const member of Object.values(value) as unknown[]) {
    if (isPlain(member)) deepFrozen(member);
  }
  return Object.freeze(value);
}

function isPlain(value: unknown): value is ConfigTree | readonly ConfigValue[] {
  if (Array.isArray(value))
    return value.every((item) => typeof item !== 'object' || item === null || isPlain(item));
  if (typeof value !== 'object' || value === null || !isTree(value as ConfigValue)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    (prototype === Object.prototype || prototype === null) &&
    Object.values(value).every((item) => typeof item !== 'object' || item === null || isPlain(item))
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
