import { Inject } from '@nestjs/common';
import { type ConfigClassRef } from '../../config/config-class.js';
import {
  getConclaveToken,
  getConfigProxyToken,
  getConfigToken,
  getElectionToken,
  getLockToken,
} from './tokens.js';

/** Of a constructor parameter or of a property. */
export type InjectDecorator = PropertyDecorator & ParameterDecorator;

/** The ConclaveClient of a connection. Its module must be imported, be global, or `forFeature` of the connection be imported. */
export function InjectConclave(name?: string): InjectDecorator {
  return Inject(getConclaveToken(name));
}

/** The DistributedMutex of this name; `forFeature([], { locks: […] })` must name it. */
export function InjectLock(lock: string, name?: string): InjectDecorator {
  return Inject(getLockToken(lock, name));
}

/** The Election of this name; `forFeature([], { elections: […] })` must name it. */
export function InjectElection(election: string, name?: string): InjectDecorator {
  return Inject(getElectionToken(election, name));
}

/**
 * The ConfigRef of a config class, or with `as: 'proxy'` an object of the class whose properties always read the newest value;
 * `forFeature([…])` must name the class.
 */
export function InjectConfig(
  configClass: ConfigClassRef<object>,
  options: { readonly as?: 'ref' | 'proxy'; readonly name?: string } = {},
): InjectDecorator {
  const tokenOf = options.as === 'proxy' ? getConfigProxyToken : getConfigToken;
  return Inject(tokenOf(configClass, options.name));
}
