import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { type ConclaveClient } from '@conclave/client';
import { type Subscription } from 'rxjs';
import { configPrefix } from '../report.js';
import { CONCLAVE } from './conclave.module.js';
import { Reporter } from './reporter.service.js';

/** Follows the configuration: its state now, then every change, one report per revision. */
@Injectable()
export class ConfigWatcher implements OnApplicationBootstrap, OnModuleDestroy {
  private subscription: Subscription | undefined;

  constructor(
    @Inject(CONCLAVE) private readonly client: ConclaveClient,
    @Inject(Reporter) private readonly reporter: Reporter,
  ) {}

  onApplicationBootstrap(): void {
    const values = new Map<string, string>();
    this.subscription = this.client.watch
      .events(configPrefix, { prefix: true, initial: true })
      .subscribe((batch) => {
        if (batch.complete) values.clear();
        for (const change of batch.changes) {
          const name = change.key.slice(configPrefix.length);
          if (change.type === 'put') values.set(name, Buffer.from(change.value).toString('utf8'));
          else values.delete(name);
        }
        this.reporter.report({
          kind: 'config',
          revision: batch.revision.toString(),
          values: Object.fromEntries(values),
        });
      });
  }

  onModuleDestroy(): void {
    this.subscription?.unsubscribe();
  }
}
