import { type ConclaveClient, type ConfigRef } from '@conclave/client';
import { ConclaveModule, getConclaveToken, getConfigToken } from '@conclave/client/nest';
import { type EmbeddedMember, startEmbedded } from '@conclave/client/testing';
import { ScheduleModule } from '@nestjs/schedule';
import { Test, type TestingModule } from '@nestjs/testing';
import { filter, firstValueFrom } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BillingConfig } from './billing.config.js';
import { BillingModule } from './billing.module.js';
import { BillingService } from './billing.service.js';
import { Ledger } from './ledger.js';

describe('billing', () => {
  let member: EmbeddedMember;
  let app: TestingModule;
  let billing: BillingService;
  let client: ConclaveClient;

  beforeAll(async () => {
    member = await startEmbedded();
    app = await Test.createTestingModule({
      imports: [ConclaveModule.forRoot(member.connection), ScheduleModule.forRoot(), BillingModule],
    }).compile();
    await app.init();
    billing = app.get(BillingService);
    client = app.get(getConclaveToken(), { strict: false });
  });

  afterAll(async () => {
    await app.close();
    await member.stop();
  });

  it('begins with the default and follows the store', async () => {
    expect(billing.retries()).toBe(3);
    const config = app.get<ConfigRef<BillingConfig>>(getConfigToken(BillingConfig), { strict: false });
    const five = firstValueFrom(
      config.select((current) => current.retryMax).pipe(filter((max) => max === 5)),
    );
    await client.kv.put('config/billing/retry.max', '5');
    await five;
    expect(billing.retries()).toBe(5);
  });

  it('pays each invoice under its lock', async () => {
    const tokens = await Promise.all([billing.pay('1'), billing.pay('1'), billing.pay('2')]);
    expect(new Set(tokens).size).toBe(3);
    expect(app.get(Ledger).paid).toBe(3);
  });
});
