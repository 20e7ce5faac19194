import { type ConfigClassRef } from '../../config/config-class.js';

/** The connection that is meant when no name is given. */
export const defaultConnection = 'default';

/** Of the ConclaveClient of a connection. The same symbol for every copy of the package. */
export function getConclaveToken(name: string = defaultConnection): symbol {
  return token('client', name);
}

/** Of the DistributedMutex of this name. */
export function getLockToken(lock: string, name: string = defaultConnection): symbol {
  return token('lock', name, lock);
}

/** Of the Election of this name. */
export function getElectionToken(election: string, name: string = defaultConnection): symbol {
  return token('election', name, election);
}

/** Of the ConfigRef of a config class. */
export function getConfigToken(
  configClass: ConfigClassRef<object>,
  name: string = defaultConnection,
): symbol {
  return token('config', name, classId(configClass));
}

/** Of the object of a config class whose properties always read the newest value. */
export function getConfigProxyToken(
  configClass: ConfigClassRef<object>,
  name: string = defaultConnection,
): symbol {
  return token('config-proxy', name, classId(configClass));
}

/** Of the options of a connection, complete. */
export function getOptionsToken(name: string = defaultConnection): symbol {
  return token('options', name);
}

/** Of the client of a connection within the SDK: visible everywhere, whether the connection is global or not. */
export function getStartedToken(name: string = defaultConnection): symbol {
  return token('started', name);
}

function token(...parts: readonly string[]): symbol {
  return Symbol.for(`@conclave/client/nest/${parts.map(encodeURIComponent).join('/')}`);
}

interface ClassIds {
  readonly ids: WeakMap<object, string>;
  next: number;
}

/** Two classes may have the same name, so each gets a number when it is first asked for. */
function classId(configClass: ConfigClassRef<object>): string {
  const key = Symbol.for('@conclave/client/nest/config-class-ids');
  const holder = globalThis as unknown as Record<symbol, ClassIds | undefined>;
  const registry = (holder[key] ??= { ids: new WeakMap(), next: 1 });
  let id = registry.ids.get(configClass);
  if (id === undefined) {
    id = `${configClass.name}#${registry.next}`;
    registry.next += 1;
    registry.ids.set(configClass, id);
  }
  return id;
}
