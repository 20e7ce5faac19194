import { type DynamicModule, Global, Module } from '@nestjs/common';
import { HTTP_SERVICES, type HttpServices } from './http-api/http-services.js';

/**
 * The one bridge between the running engine and Nest. The engine is not built here: it and gRPC are up before Nest is
 * loaded (see start-server.ts), and this module hands the running member to whatever Nest knows.
 */
@Global()
@Module({})
export class EngineModule {
  static forRunning(services: HttpServices): DynamicModule {
    return {
      module: EngineModule,
      providers: [{ provide: HTTP_SERVICES, useValue: services }],
      exports: [HTTP_SERVICES],
    };
  }
}
