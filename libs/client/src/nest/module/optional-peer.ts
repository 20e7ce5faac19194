import { createRequire } from 'node:module';
import { InvalidArgumentError } from '../../errors.js';

const requireHere = createRequire(import.meta.url);

/**
 * A package that only some applications have, loaded when it is first needed.
 *
 * @param neededFor what it is for, to end the sentence "install … to use".
 * @throws InvalidArgumentError when it is not installed.
 */
export function optionalPeer<T>(name: string, neededFor: string): T {
  try {
    return requireHere(name) as T;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Only its own absence: what it lacks itself is another mistake.
    if (code !== 'MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) throw error;
    throw new InvalidArgumentError(`install ${name} to use ${neededFor}`, { cause: error });
  }
}
