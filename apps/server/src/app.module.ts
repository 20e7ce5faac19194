import { type DynamicModule, Module } from '@nestjs/common';
import { EngineModule } from './engine.module.js';
import { HttpApiModule } from './http-api/http-api.module.js';
import { type HttpServices } from './http-api/http-services.js';

/** The Nest side of a member: everything that is served over HTTP. The engine and gRPC run without it. */
@Module({})
export class AppModule {
  static forMember(services: HttpServices): DynamicModule {
    return { module: AppModule, imports: [EngineModule.forRunning(services), HttpApiModule] };
  }
}
