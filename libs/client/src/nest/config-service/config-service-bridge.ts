import { type ConfigValue } from '@conclave/config-model';
import { filter, map, merge, type Observable } from 'rxjs';
import { type Connections } from '../module/connections.js';
import { logger } from '../module/started-client.js';
import { type LiveValues } from './live-values.js';

/** What is used of ConfigService of @nestjs/config. */
export interface ConfigServiceLike {
  get(path: unknown, ...rest: unknown[]): unknown;
  /** Since 3.1. */
  set?(path: unknown, value: unknown): void;
  readonly changes$?: Observable<ServiceChange>;
}

interface ServiceChange {
  readonly path: PropertyKey;
  readonly oldValue: unknown;
  readonly newValue: unknown;
}

/**
 * Lets the application's own ConfigService read the store first: `get` and `getOrThrow` look into the newest release, then where they
 * always looked; `changes$` tells the changes of the store too. Nothing is written into the service or the environment of the process.
 */
export function attachConfigService(service: ConfigServiceLike, connections: Connections): void {
  const { values } = connections;
  const own = service.get.bind(service);
  connections.configs.applicationValue = (path) => own(path) as ConfigValue | undefined;
  define(service, 'get', {
    value: (path: unknown, ...rest: unknown[]) =>
      (typeof path === 'string' ? values.get(path) : undefined) ?? own(path, ...rest),
  });
  const set = service.set?.bind(service);
  if (set !== undefined) define(service, 'set', { value: settingWith(set, values) });
  const { changes$ } = service;
  if (changes$ !== undefined) {
    const merged$ = mergedChanges(changes$, values, own);
    define(service, 'changes$', { get: () => merged$ });
  }
}

/** Sets the application's own value, and says so when the store has one, which wins. */
function settingWith(set: (path: unknown, value: unknown) => void, values: LiveValues) {
  return (path: unknown, value: unknown): void => {
    set(path, value);
    if (isStored(values, path)) {
      logger.warn(
        `ConfigService.set('${String(path)}') has no effect: the store has a value for it, and wins`,
      );
    }
  };
}

function isStored(values: LiveValues, path: unknown): boolean {
  return typeof path === 'string' && values.get(path) !== undefined;
}

function mergedChanges(
  own$: Observable<ServiceChange>,
  values: LiveValues,
  own: (path: string) => unknown,
): Observable<ServiceChange> {
  const store$ = values.changes$.pipe(
    map(({ path, oldValue, newValue }) => ({
      path,
      oldValue: oldValue ?? own(path),
      newValue: newValue ?? own(path),
    })),
  );
  const effective$ = own$.pipe(filter(({ path }) => !isStored(values, path)));
  return merge(effective$, store$);
}

function define(service: ConfigServiceLike, name: string, descriptor: PropertyDescriptor): void {
  Object.defineProperty(service, name, {
    configurable: true,
    ...('value' in descriptor ? { writable: true } : {}),
    ...descriptor,
  });
}
