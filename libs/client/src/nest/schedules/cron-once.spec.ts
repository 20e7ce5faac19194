import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { type TestingModule } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StopSignal } from '../methods/marked-parameters.js';
import { NestWorld } from '../methods/testing/nest-world.js';
import { Connections } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { CronOnce } from './cron-once.js';

/** The due times at which something ran, by schedule. */
let runs: string[];
let world: NestWorld;
let runWaitsFor: Promise<void>;
let signal: AbortSignal | undefined;

@Injectable()
class Jobs {
  @CronOnce('*/5 * * * *', { name: 'sync', timeZone: 'UTC', waitForCompletion: true })
  async sync(@StopSignal() stop?: AbortSignal): Promise<void> {
    signal = stop;
    runs.push(`sync ${now()}`);
    await runWaitsFor;
  }

  @CronOnce('0 0 * * *', { name: 'off', disabled: true })
  async off(): Promise<void> {
    runs.push(`off ${now()}`);
    return Promise.resolve();
  }
}

const now = (): string => new Date().toISOString().slice(11, 23);

/** Time as cron jobs see it: only the test moves it. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
  vi.setSystemTime('2026-03-01T02:58:00Z');
  world = new NestWorld();
  runs = [];
  runWaitsFor = Promise.resolve();
});
afterEach(async () => {
  await world.closeAll();
  vi.useRealTimers();
});

async function start(providers: (new () => object)[] = [Jobs]): Promise<TestingModule> {
  const { clock } = world;
  return world.start(
    { imports: [ScheduleModule.forRoot()], providers },
    {
      clock: {
        monotonic: () => clock.monotonic(),
        wall: () => Date.now(),
        setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
      },
    },
  );
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await world.clock.settle();
}

function jobOf(application: TestingModule, name = 'sync') {
  return application.get(SchedulerRegistry, { strict: false }).getCronJob(name);
}

/** The timer of an instance fires at this moment of its clock. */
async function fireAt(application: TestingModule, time: string): Promise<void> {
  vi.setSystemTime(`2026-03-01T${time}Z`);
  void jobOf(application).fireOnTick();
  await world.clock.settle();
}

function outcomes(application: TestingModule): Record<string, number> {
  const counts = applicationOf(application.get(Connections)).jobs.outcomes().get('sync');
  return Object.fromEntries(counts ?? []);
}

describe('@CronOnce', () => {
  it('runs each due time in one of many instances', async () => {
    const all = [await start(), await start(), await start()];
    await pass(13 * 60_000);
    expect(runs).toEqual(['sync 03:00:00.000', 'sync 03:05:00.000', 'sync 03:10:00.000']);
    const counts = all.map(outcomes);
    expect(counts.reduce((sum, count) => sum + (count['ran'] ?? 0), 0)).toBe(3);
    expect(counts.reduce((sum, count) => sum + (count['taken'] ?? 0), 0)).toBe(6);
  });

  it('claims the due time and no time of an instance, whose timers fire some time apart and whose clocks differ', async () => {
    const [a, b, c] = [await start(), await start(), await start()];
    await fireAt(b, '03:00:00.037');
    expect(world.store.keys()).toEqual(['schedules/sync/2026-03-01T03:00:00.000Z']);
    await fireAt(a, '03:00:00.000');
    await fireAt(c, '03:00:29.900');
    expect(runs).toEqual(['sync 03:00:00.037']);
    expect([outcomes(a), outcomes(b), outcomes(c)]).toEqual([{ taken: 1 }, { ran: 1 }, { taken: 1 }]);
  });

  it('does not run, nor claim, when it is so late that an earlier claim may be forgotten', async () => {
    const [a, b] = [await start(), await start()];
    await fireAt(a, '03:00:00.001');
    await world.clock.advance(61_000); // the store has forgotten it
    await fireAt(b, '03:01:01.000');
    expect(runs).toEqual(['sync 03:00:00.001']);
    expect(outcomes(b)).toEqual({ missed: 1 });
    expect(world.store.keys()).toEqual([]);
    expect(world.logs.has("schedule 'sync'", 'more than 30000 ms after it was due')).toBe(true);
  });

  it('does not run when its claim was granted too late', async () => {
    const a = await start();
    const grant = world.store.holdAnswer('txn');
    await fireAt(a, '03:00:00.001');
    vi.setSystemTime('2026-03-01T03:00:30Z');
    grant();
    await world.clock.settle();
    expect(runs).toEqual([]);
    expect(outcomes(a)).toEqual({ missed: 1 });
    expect(world.logs.has('2026-03-01T03:00:00.000Z', 'too late to be run')).toBe(true);
  });

  it('P17 fails closed and says so when the store does not answer, and runs the next time', async () => {
    const a = await start();
    world.store.partition();
    await fireAt(a, '03:00:00.001');
    await world.clock.advance(10_000);
    expect(runs).toEqual([]);
    expect(outcomes(a)).toEqual({ unavailable: 1 });
    expect(
      world.logs.has("error schedule 'sync', due 2026-03-01T03:00:00.000Z", 'could not be claimed'),
    ).toBe(true);
    world.store.heal();
    await fireAt(a, '03:05:00.001');
    await world.clock.advance(1_000);
    expect(runs).toEqual(['sync 03:05:00.001']);
  });

  it('runs for a job that is late at the start, and calls before it is registered', async () => {
    @Injectable()
    class Early extends Jobs implements OnModuleInit {
      onModuleInit(): void {
        void this.sync();
      }
    }
    vi.setSystemTime('2026-03-01T03:00:00.066Z');
    await start([Early]);
    expect(runs).toEqual(['sync 03:00:00.066']);
  });

  it('passes the options of @Cron on', async () => {
    const a = await start();
    expect(jobOf(a, 'off').isActive).toBe(false);
    let end = (): void => undefined;
    runWaitsFor = new Promise((resolve) => (end = resolve));
    await pass(13 * 60_000);
    expect(runs).toEqual(['sync 03:00:00.000']);
    end();
    await pass(5 * 60_000);
    expect(runs).toEqual(['sync 03:00:00.000', 'sync 03:15:00.000']);
  });

  it('tells a run to stop at shutdown, waits for it, and begins none', async () => {
    const a = await start();
    let end = (): void => undefined;
    runWaitsFor = new Promise((resolve) => (end = resolve));
    await fireAt(a, '03:00:00.001');
    expect(signal?.aborted).toBe(false);
    const jobs = a.get(Jobs);
    const closing = world.close(a).then(() => runs.push('closed'));
    await world.clock.settle();
    expect(signal?.aborted).toBe(true);
    vi.setSystemTime('2026-03-01T03:05:00.001Z');
    await jobs.sync();
    expect(outcomes(a)).toEqual({ stopping: 1 });
    runs.push('ends');
    end();
    await closing;
    expect(runs).toEqual(['sync 03:00:00.001', 'ends', 'closed']);
  });

  it('fails the start when nothing would run it, and when it can be no job', async () => {
    const module = await world.compile({ providers: [Jobs] });
    await expect(module.init()).rejects.toThrow(/nothing would run Jobs.sync: import ScheduleModule.forRoot/);
    expect(() => CronOnce('* * * * *', { name: '' })).toThrow(/name is empty/);
    expect(() => CronOnce('* * * * *', { name: 'x', ttl: '1s' })).toThrow(/ttl/);
  });
});

describe('@CronOnce in a zone with summer time', () => {
  class Nightly {
    @CronOnce('30 1 * * *', { name: 'twice', timeZone: 'America/New_York' })
    async twice(): Promise<void> {
      await Promise.resolve(runs.push(new Date().toISOString().slice(5, 19)));
    }
    @CronOnce('30 2 * * *', { name: 'never', timeZone: 'America/New_York' })
    async never(): Promise<void> {
      await Promise.resolve(runs.push(new Date().toISOString().slice(5, 19)));
    }
  }

  it.each([
    // 1:30 comes twice, at 5:30 and 6:30 UTC, and the package cron takes both for due: each of them runs once.
    [
      '2026-11-01T00:00:00Z',
      ['11-01T05:30:00', '11-01T06:30:00', '11-01T07:30:00', '11-02T06:30:00', '11-02T07:30:00'],
    ],
    // 2:30 does not come: it runs when the clocks are set, at 7:00 UTC.
    ['2026-03-08T00:00:00Z', ['03-08T06:30:00', '03-08T07:00:00', '03-09T05:30:00', '03-09T06:30:00']],
  ])('from %s on', async (from, expected) => {
    vi.setSystemTime(from);
    await start([Nightly]);
    await start([Nightly]);
    await pass(36 * 3_600_000);
    expect(runs).toEqual(expected);
  });
});
