import { Injectable } from '@nestjs/common';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { type TestingModule } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type RunOutcome } from './scheduled-jobs.js';
import { LeaderSignal } from '../methods/marked-parameters.js';
import { NestWorld } from '../methods/testing/nest-world.js';
import { Connections } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { LeaderCron } from './leader-cron.js';

@Injectable()
class Jobs {
  runs = 0;
  signal: AbortSignal | undefined;
  waitsFor: Promise<void> = Promise.resolve();

  @LeaderCron('0 3 * * *', { election: 'nightly', name: 'nightly', timeZone: 'Asia/Tokyo' })
  async nightly(@LeaderSignal() signal?: AbortSignal): Promise<void> {
    this.runs += 1;
    this.signal = signal;
    await this.waitsFor;
  }

  @LeaderCron('*/5 * * * *', { election: 'nightly', disabled: true })
  async unnamed(): Promise<void> {
    this.runs += 1_000;
    return Promise.resolve();
  }
}

let world: NestWorld;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
  vi.setSystemTime('2026-03-01T17:59:00Z'); // 2:59 in Tokyo
  world = new NestWorld();
});
afterEach(async () => {
  await world.closeAll();
  vi.useRealTimers();
});

const start = (): Promise<TestingModule> =>
  world.start({ imports: [ScheduleModule.forRoot()], providers: [Jobs] });

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await world.clock.settle();
}

function outcomes(application: TestingModule): Partial<Record<RunOutcome, number>> {
  return Object.fromEntries(applicationOf(application.get(Connections)).jobs.outcomes().get('nightly') ?? []);
}

const day = 24 * 3_600_000;

describe('@LeaderCron', () => {
  it('runs in the leader only, and in the next one after it', async () => {
    const [a, b] = [await start(), await start()];
    await pass(60_000);
    expect([a.get(Jobs).runs, b.get(Jobs).runs]).toEqual([1, 0]);
    expect([outcomes(a), outcomes(b)]).toEqual([{ ran: 1 }, { following: 1 }]);
    await world.close(a);
    await pass(day);
    expect([a.get(Jobs).runs, b.get(Jobs).runs]).toEqual([1, 1]);
    expect(outcomes(b)).toEqual({ following: 1, ran: 1 });
  });

  it('tells a run that outlives the leadership, counts it as failed, and the scheduler logs it', async () => {
    const [a, b] = [await start(), await start()];
    const jobs = a.get(Jobs);
    let end = (): void => undefined;
    jobs.waitsFor = new Promise((resolve) => (end = resolve));
    await pass(60_000);
    expect(jobs.signal?.aborted).toBe(false);
    const [leader] = world.store.keys();
    world.store.deleteKey(leader ?? '');
    await world.clock.settle();
    expect(jobs.signal?.aborted).toBe(true);
    end();
    await world.clock.settle();
    expect(outcomes(a)).toEqual({ failed: 1 });
    expect(world.logs.has("leadership of 'nightly' is lost")).toBe(true);
    await pass(day);
    expect([jobs.runs, b.get(Jobs).runs]).toEqual([1, 1]);
  });

  it('begins nothing once the application ends, although it still leads and its timer still fires', async () => {
    const a = await start();
    const jobs = a.get(Jobs);
    const job = a.get(SchedulerRegistry, { strict: false }).getCronJob('nightly');
    applicationOf(a.get(Connections)).stopAcquiring();
    expect(applicationOf(a.get(Connections)).roles.all()[0]?.leadership).toBeDefined();
    await job.fireOnTick();
    expect(jobs.runs).toBe(0);
    expect(outcomes(a)).toEqual({ stopping: 1 });
  });

  it('passes the options of @Cron on', async () => {
    const a = await start();
    const registry = a.get(SchedulerRegistry, { strict: false });
    expect([...registry.getCronJobs().values()].map((job) => job.isActive).sort()).toEqual([false, true]);
    expect(registry.getCronJob('nightly').nextDate().toUTC().toISO()).toBe('2026-03-01T18:00:00.000Z');
  });
});
