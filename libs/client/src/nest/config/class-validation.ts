import { type ConfigTree } from '@conclave/config-model';
import { type ConfigClassRef, type ConfigValidation } from '../../config/config-class.js';
import { optionalPeer } from '../module/optional-peer.js';
import { frozenAndDiscreet } from './decorated-value.js';
import { convertByDeclaration, type PlainToInstance } from './declared-types.js';
import { type PropertyError, violationsOf } from './violations.js';

/** A decorated class, as its values are judged. */
export interface DecoratedClass {
  readonly configClass: ConfigClassRef<object>;
  /** Where each property stands in the document. */
  readonly paths: ReadonlyMap<string, string>;
  /** Properties whose values an own parser made: they are taken as they are. */
  readonly parsed: ReadonlySet<string>;
}

interface ClassValidator {
  validateSync(value: object, options: object): PropertyError[];
  getMetadataStorage(): {
    getTargetValidationMetadatas(
      target: object,
      schema: string,
      always: boolean,
      strictGroups: boolean,
    ): readonly { readonly propertyName: string }[];
  };
}

interface ClassTransformer {
  readonly plainToInstance: PlainToInstance;
}

const use = 'classes with @ConfigClass';
const validator = (): ClassValidator => optionalPeer('class-validator', use);
const transformer = (): ClassTransformer => optionalPeer('class-transformer', use);

/** The properties that have a decorator of class-validator, inherited ones too. */
export function validatedProperties(configClass: ConfigClassRef<object>): string[] {
  const found = validator().getMetadataStorage().getTargetValidationMetadatas(configClass, '', false, false);
  return [...new Set(found.map((one) => one.propertyName))];
}

/** An instance of the class, or what is wrong with the values, one sentence each. Asynchronous validators are not waited for. */
export function validateDecorated(decorated: DecoratedClass, values: ConfigTree): ConfigValidation<object> {
  const { configClass, parsed } = decorated;
  const { plainToInstance } = transformer();
  const plain = Object.entries(values).filter(([name]) => !parsed.has(name));
  const made = Object.entries(values).filter(([name]) => parsed.has(name));
  const instance = plainToInstance(configClass, Object.fromEntries(plain), { exposeDefaultValues: true });
  convertByDeclaration(instance, plainToInstance);
  Object.assign(instance, Object.fromEntries(made));
  const errors = validator().validateSync(instance, { forbidUnknownValues: false });
  if (errors.length > 0) return { violations: violationsOf(errors, decorated.paths) };
  return { value: frozenAndDiscreet(instance, parsed) };
}
