import { Module, type Type } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService } from '@nestjs/core';
import { isConclaveError } from '../../errors.js';
import { Connections } from '../module/connections.js';
import { optionalPeer } from '../module/optional-peer.js';
import { attachConfigService, type ConfigServiceLike } from './config-service-bridge.js';

interface NestConfig {
  readonly ConfigModule: Type;
  readonly ConfigService: Type<ConfigServiceLike>;
}

const attached = Symbol('ConfigService reads the store');

let made: readonly Type[] | undefined;

/**
 * The module that finds the one ConfigService of an application, wherever that imports ConfigModule: all of them hand out the service of
 * a host module that an application has once. Empty when @nestjs/config is not installed.
 */
export function configServiceModules(): readonly Type[] {
  made ??= makeModules();
  return made;
}

function makeModules(): readonly Type[] {
  let peer: NestConfig;
  try {
    peer = optionalPeer('@nestjs/config', 'ConfigService');
  } catch (error) {
    if (isConclaveError(error)) return [];
    throw error;
  }
  const { ConfigModule, ConfigService } = peer;

  @Module({
    imports: [ConfigModule, DiscoveryModule],
    providers: [
      {
        provide: attached,
        inject: [ConfigService, Connections, DiscoveryService],
        useFactory: (service: ConfigServiceLike, connections: Connections, discovery: DiscoveryService) => {
          // The plain import above has an alias only; ConfigModule.forRoot and forFeature have a provider of their own.
          const isUsed = discovery.getProviders().some((one) => one.token === ConfigService && !one.isAlias);
          if (isUsed) attachConfigService(service, connections);
          return isUsed;
        },
      },
    ],
  })
  class ConclaveConfigServiceModule {}
  return [ConclaveConfigServiceModule];
}
