import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Connections } from '../module/connections.js';
import { type Application, applicationOf } from './application.js';

/**
 * Starts and ends what an application does under locks and leaderships, in the order of Nest's hooks: the work ends while servers still
 * answer, and leaders resign after the servers are closed. Needs `app.close()` or `app.enableShutdownHooks()`.
 */
@Injectable()
export class ApplicationHooks
  implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown
{
  constructor(
    @Inject(Connections) private readonly connections: Connections,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
  ) {}

  onApplicationBootstrap(): void {
    this.application.start(this.moduleRef);
  }

  onModuleDestroy(): void {
    this.application.stopAcquiring();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.application.drain();
  }

  onApplicationShutdown(): Promise<void> {
    return this.application.end();
  }

  private get application(): Application {
    return applicationOf(this.connections);
  }
}
