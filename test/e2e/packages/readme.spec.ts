/* eslint-disable no-console, @typescript-eslint/no-unused-vars -- what follows the imports is the text of README.md */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ConfigChange, type ConfigRef, type LockHandle } from '@conclave/client';
import { ConclaveModule, ConfigClass, ConfigKey, HeldLock, InjectConfig } from '@conclave/client/nest';
import { LeaderCron, LeaderSignal, OnConfigChange, WithLock } from '@conclave/client/nest';
import { TestConclaveModule } from '@conclave/client/testing/nest';
import { Injectable, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { IsInt, Max } from 'class-validator';
import { expect, it } from 'vitest';
import { repositoryRoot } from '../../members/member-process.js';

@ConfigClass({ namespace: 'billing' })
export class BillingConfig { @ConfigKey('retry.max', { default: 3 }) @IsInt() @Max(10) retryMax!: number; }

@Injectable() export class Billing {
  constructor(@InjectConfig(BillingConfig) readonly config: ConfigRef<BillingConfig>) {}
  @OnConfigChange(BillingConfig) changed({ previous, current }: ConfigChange<BillingConfig>) { console.log(previous.retryMax, '->', current.retryMax); }
  @WithLock((id: string) => `invoice/${id}`, { wait: '5s' })   // one instance at a time, in the order of asking
  async pay(id: string, @HeldLock() held?: LockHandle) { return held?.token; }   // pass it on: the resource refuses lower ones
  @LeaderCron('0 3 * * *', { election: 'billing', timeZone: 'UTC' })            // in the instance that leads
  async nightly(@LeaderSignal() signal?: AbortSignal) { /* until signal aborts */ }
}
@Module({ imports: [ScheduleModule.forRoot(), ConclaveModule.forRoot({ endpoints: ['127.0.0.1:2379'], app: 'shop', env: 'dev' }),
  ConclaveModule.forFeature([BillingConfig])], providers: [Billing] })
export class AppModule {}                                     // main.ts: app.enableShutdownHooks()

it('pays with the newest configuration', async () => {
  const app = await Test.createTestingModule({ imports: [TestConclaveModule.with({ config: { billing: { 'retry.max': 5 } } }),
    ScheduleModule.forRoot(), ConclaveModule.forFeature([BillingConfig])], providers: [Billing] }).compile();
  await app.init();
  expect([app.get(Billing).config.value.retryMax, typeof await app.get(Billing).pay('7')]).toEqual([5, 'bigint']);
  await app.close();
});

it('is the program that the README begins with', () => {
  const own = readFileSync(fileURLToPath(import.meta.url), 'utf8');
  const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
  const [, program] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  expect(program?.length).toBeGreaterThan(1_000);
  expect(own).toContain(program);
});
