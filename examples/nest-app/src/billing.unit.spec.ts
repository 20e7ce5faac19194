import { TestConclave, TestConclaveModule } from '@conclave/client/testing/nest';
import { ScheduleModule } from '@nestjs/schedule';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BillingModule } from './billing.module.js';
import { BillingService } from './billing.service.js';

/** Without a server: locks, leaders and configuration on a store in memory, whose clock only the test moves. */
describe('billing, alone', () => {
  let app: TestingModule;

  beforeAll(async () => {
    app = await Test.createTestingModule({
      imports: [TestConclaveModule.with(), ScheduleModule.forRoot(), BillingModule],
    }).compile();
    await app.init();
  });

  afterAll(() => app.close());

  it('follows the store', async () => {
    const { fake } = app.get(TestConclave);
    await fake.client().kv.put('config/billing/retry.max', '7');
    await fake.settle();
    expect(app.get(BillingService).retries()).toBe(7);
  });

  it('keeps the last good value', async () => {
    const { fake } = app.get(TestConclave);
    await fake.client().kv.put('config/billing/retry.max', '99');
    await fake.settle();
    expect(app.get(BillingService).retries()).toBe(7);
  });

  it('pays under a lock', async () => {
    expect(typeof (await app.get(BillingService).pay('1'))).toBe('bigint');
  });
});
