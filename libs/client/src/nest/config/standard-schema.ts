import { type ConfigTree } from '@conclave/config-model';
import { type ConfigClassRef, type ConfigValidation } from '../../config/config-class.js';
import { frozenAndDiscreet } from './decorated-value.js';
import { secretsOf } from './secrets.js';
import { withoutSecret } from './violations.js';

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

type Result =
  { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** The interface that schema libraries share, https://standardschema.dev, version 1. */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Result | Promise<Result>;
  };
}

export interface ClassWithSchema {
  readonly configClass: ConfigClassRef<object>;
  /** Where each property stands in the document. */
  readonly paths: ReadonlyMap<string, string>;
  readonly schema: StandardSchema;
}

/** An instance of the class with what the schema makes of the values, or what is wrong with them. */
export function validateBySchema(
  { configClass, paths, schema }: ClassWithSchema,
  values: ConfigTree,
): ConfigValidation<object> {
  const result = schema['~standard'].validate(values);
  if (result instanceof Promise) {
    result.catch(() => undefined);
    return { violations: [`the schema of ${configClass.name} is asynchronous; give it a synchronous one`] };
  }
  if (result.issues !== undefined) {
    const secrets = secretsOf(configClass.prototype as object);
    return { violations: result.issues.map((issue) => sentence(issue, paths, secrets, values)) };
  }
  return { value: frozenAndDiscreet(Object.assign(new configClass(), result.value), new Set()) };
}

function sentence(
  { message, path = [] }: Issue,
  paths: ReadonlyMap<string, string>,
  secrets: ReadonlySet<string>,
  values: ConfigTree,
): string {
  const [property, ...below] = path.map((step) => String(typeof step === 'object' ? step.key : step));
  if (property === undefined) return message;
  const where = [paths.get(property) ?? property, ...below].join('.');
  const words = secrets.has(property) ? withoutSecret(message, values[property], 'its schema') : message;
  return `${where}: ${words}`;
}
