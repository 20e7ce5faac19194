import { getConclaveToken } from '@conclave/client/nest';
import { type ConclaveClient } from '@conclave/client';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { setTimeout as pause } from 'node:timers/promises';
import { AppModule } from './app.module.js';
import { BillingService } from './billing.service.js';

/** Pays invoices and changes its own configuration, so that there is something to see; Ctrl-C ends it in good order. */
async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule);
  app.enableShutdownHooks();
  const logger = new Logger('main');
  const billing = app.get(BillingService);
  const store = app.get<ConclaveClient>(getConclaveToken(), { strict: false });
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort());

  for (let invoice = 1; !ending.signal.aborted; invoice += 1) {
    const token = await billing.pay(`2026-${invoice}`);
    logger.log(`paid invoice 2026-${invoice} under token ${token}, with up to ${billing.retries()} retries`);
    await store.kv.put('config/billing/retry.max', String(invoice % 10));
    await pause(1_000, undefined, { signal: ending.signal }).catch(() => undefined);
  }
}

void main();
