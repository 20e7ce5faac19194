import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { type ConclaveClient } from '../../client.js';
import { type ConfigClassRef } from '../../config/config-class.js';
import { configProviders } from '../config/config-providers.js';
import { configServiceModules } from '../config-service/config-service.module.js';
import { Connections } from './connections.js';
import { ConclaveCoreModule } from './core.module.js';
import {
  type ConclaveModuleAsyncOptions,
  type ConclaveModuleOptions,
  type FeatureOptions,
} from './options.js';
import { fromClient } from './from-client.js';
import { startedClient } from './started-client.js';
import {
  defaultConnection,
  getConclaveToken,
  getElectionToken,
  getLockToken,
  getOptionsToken,
  getStartedToken,
} from './tokens.js';

/** The module of one connection, visible everywhere under tokens that are the SDK's own. */
@Module({})
class ConclaveConnectionModule {}

/** The module of what one module of the application uses. */
@Module({})
class ConclaveFeatureModule {}

let registrations = 0;

/** Clients, config classes, locks and elections as providers of a Nest application. */
@Module({})
export class ConclaveModule {
  /**
   * A connection, for the root module. The client connects when it is first used; with `start.mode: 'require-live'` the start of the
   * application waits for it.
   *
   * @throws InvalidArgumentError, ConfigUnavailableError (the start of the application fails).
   */
  static forRoot(options: ConclaveModuleOptions): DynamicModule {
    const { name, isGlobal } = options;
    return this.forRootAsync({ ...defined({ name, isGlobal }), useFactory: () => options });
  }

  /** The same with options that are made of other providers. */
  static forRootAsync(options: ConclaveModuleAsyncOptions): DynamicModule {
    const { imports = [], inject = [], useFactory, ...fixed } = options;
    const name = fixed.name ?? defaultConnection;
    const started = getStartedToken(name);
    const connection: DynamicModule = {
      module: ConclaveConnectionModule,
      global: true,
      imports: [ConclaveCoreModule, ...imports],
      providers: [
        {
          provide: getOptionsToken(name),
          inject: [...inject],
          useFactory: async (...dependencies: unknown[]) => ({
            ...fixed,
            ...(await useFactory(...dependencies)),
            name,
          }),
        },
        // Versions before 11 take modules for one that are described by the same text.
        { provide: Symbol('registration'), useValue: `${name} ${(registrations += 1)}` },
        { provide: started, inject: [getOptionsToken(name), Connections], useFactory: startedClient },
      ],
      exports: [getOptionsToken(name), started],
    };
    const client = getConclaveToken(name);
    return {
      module: ConclaveModule,
      global: fixed.isGlobal ?? false,
      imports: [connection, ...configServiceModules()],
      providers: [{ provide: client, inject: [started], useFactory: (made: ConclaveClient) => made }],
      exports: [client],
    };
  }

  /**
   * What a module injects: config classes, locks and elections of a connection, and its client. The start of the application fails when
   * a config class has no valid value to start with.
   *
   * @throws ConfigInvalidError, ConfigUnavailableError, InvalidArgumentError (the start of the application fails).
   */
  static forFeature(
    configClasses: readonly ConfigClassRef<object>[] = [],
    options: FeatureOptions = {},
  ): DynamicModule {
    const name = options.name ?? defaultConnection;
    const providers = [
      { provide: getConclaveToken(name), ...fromClient(name, (client) => client) },
      ...(options.locks ?? []).map((lock) => ({
        provide: getLockToken(lock, name),
        ...fromClient(name, (client, connections) => {
          connections.addFeature({ kind: 'lock', feature: lock, name });
          return client.locks.mutex(lock);
        }),
      })),
      ...(options.elections ?? []).map((election) => ({
        provide: getElectionToken(election, name),
        ...fromClient(name, (client, connections) => {
          connections.addFeature({ kind: 'election', feature: election, name });
          return client.elections.election(election);
        }),
      })),
      ...configProviders(configClasses, name),
    ] satisfies Provider[];
    return {
      module: ConclaveFeatureModule,
      imports: [ConclaveCoreModule],
      providers,
      exports: providers.map((provider) => provider.provide),
    };
  }
}

function defined<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>;
}
