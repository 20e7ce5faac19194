import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { type ConclaveClient, createClient } from '@conclave/client';

/** Injection token of the worker's client. */
export const CONCLAVE = Symbol('conclave client');

/** One client for the whole worker; closed last, so that what is held is given back on a stop in good order. */
@Global()
@Module({
  providers: [
    {
      provide: CONCLAVE,
      useFactory: (): ConclaveClient =>
        createClient({ endpoints: [process.env['DEMO_ENDPOINT'] ?? 'http://127.0.0.1:2379'] }),
    },
  ],
  exports: [CONCLAVE],
})
export class ConclaveModule implements OnApplicationShutdown {
  constructor(@Inject(CONCLAVE) private readonly client: ConclaveClient) {}

  async onApplicationShutdown(): Promise<void> {
    await this.client.close({ drain: '2s' });
  }
}
