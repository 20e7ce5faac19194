import { Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { IsInt, Max } from 'class-validator';
import { describe, expect, it } from 'vitest';
import { type DistributedMutex } from '../../concurrency/mutex.js';
import { type Election } from '../../concurrency/election.js';
import { type ConfigChange, type ConfigRef } from '../../config/config-ref.js';
import {
  ConclaveModule,
  ConfigClass,
  ConfigKey,
  InjectConfig,
  InjectElection,
  InjectLock,
  OnConfigChange,
  WithLock,
} from '../../nest/index.js';
import { fakeConclave } from '../fake-conclave.js';
import { TestConclave, TestConclaveModule } from './index.js';

@ConfigClass({ namespace: 'billing' })
class Billing {
  @ConfigKey('retry.max') @IsInt() @Max(10) retryMax = 3;
  @ConfigKey('limits.daily') @IsInt() daily = 1;
}

@Injectable()
class Payments {
  readonly seen: number[] = [];

  constructor(
    @InjectConfig(Billing) readonly config: ConfigRef<Billing>,
    @InjectLock('invoices') readonly lock: DistributedMutex,
    @InjectElection('worker') readonly election: Election,
    readonly service: ConfigService,
  ) {}

  @OnConfigChange(Billing)
  changed({ current }: ConfigChange<Billing>): void {
    this.seen.push(current.retryMax);
  }

  @WithLock('payment')
  pay(amount: number): Promise<number> {
    return Promise.resolve(amount * this.config.value.retryMax);
  }
}

@Module({
  imports: [
    ConfigModule.forRoot({ ignoreEnvFile: true }),
    ConclaveModule.forFeature([Billing], { locks: ['invoices'], elections: ['worker'] }),
  ],
  providers: [Payments],
})
class PaymentsModule {}

async function start(options: Parameters<typeof TestConclaveModule.with>[0] = {}) {
  const imports = [TestConclaveModule.with(options), PaymentsModule];
  const module = await (await Test.createTestingModule({ imports }).compile()).init();
  return { module, payments: module.get(Payments), conclave: module.get(TestConclave) };
}

describe('TestConclaveModule', () => {
  it('brings values to refs and ConfigService, and changes to handlers', async () => {
    const { module, payments, conclave } = await start({
      config: { billing: { 'retry.max': 5, limits: { daily: 7 } } },
    });
    expect(payments.config.value).toEqual({ retryMax: 5, daily: 7 });
    expect(payments.service.get('retry.max')).toBe(5);
    await conclave.publish('billing', { 'retry.max': 8 });
    expect(payments.config.value).toEqual({ retryMax: 8, daily: 7 });
    expect(payments.service.get('retry.max')).toBe(8);
    expect(payments.seen).toEqual([8]);
    await conclave.publish('billing', { limits: null });
    expect(payments.config.value).toEqual({ retryMax: 8, daily: 1 });
    await module.close();
  });

  it('refuses what the class refuses, as in production', async () => {
    const { module, payments, conclave } = await start();
    expect(payments.config.value.retryMax).toBe(3);
    await conclave.publish('billing', { 'retry.max': 99 });
    expect(payments.config.value.retryMax).toBe(3);
    await expect(conclave.publish('billing', { at: new Date(), f: () => 1 })).rejects.toThrow(
      'billing: at (object), f (function): a value is a string',
    );
    await module.close();
  });

  it('takes locks and leads without a server', async () => {
    const { module, payments, conclave } = await start({ config: { billing: { 'retry.max': 4 } } });
    expect(await payments.pay(10)).toBe(40);
    const handle = await payments.lock.acquire();
    const leadership = await payments.election.campaign();
    await conclave.fake.expireLease(handle.leaseId);
    // A lock is watched only when it is held a little longer.
    await conclave.fake.advance('100ms');
    expect([handle.isHeld(), leadership.isHeld()]).toEqual([false, false]);
    await module.close();
  });

  it('lets two applications of a test share one store', async () => {
    const fake = fakeConclave();
    const [one, two] = [await start({ fake }), await start({ fake })];
    const handle = await one.payments.lock.acquire();
    expect(await two.payments.lock.tryAcquire()).toBeNull();
    await handle.release();
    await Promise.all([one.module.close(), two.module.close()]);
  });
});
