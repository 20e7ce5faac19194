import {
  type BeforeApplicationShutdown,
  Controller,
  Get,
  Injectable,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Leadership } from '../../concurrency/leadership.js';
import { type LockHandle } from '../../concurrency/mutex.js';
import { outcomeOf } from '../../testing/outcome.js';
import { LeaderOnly } from '../leadership/leader-only.js';
import { type Deposition, OnDeposed, OnElected } from '../leadership/role-events.js';
import { WithLock } from '../locks/with-lock.js';
import { HeldLock, LeaderSignal, StopSignal } from '../methods/marked-parameters.js';
import { NestWorld } from '../methods/testing/nest-world.js';
import { Connections } from '../module/connections.js';
import { type ConclaveModuleOptions } from '../module/options.js';
import { drainMsOf } from './shutdown-times.js';

/** What happened, in order. */
let told: string[];
let world: NestWorld;
let isStubborn: boolean;
beforeEach(() => {
  world = new NestWorld();
  told = [];
  isStubborn = false;
});
afterEach(() => world.closeAll());

/** Resolves some time after the signal, as work does that comes to its end; never when it is stubborn. */
function untilToldTo(signal: AbortSignal | undefined, what: string, afterMs: number): Promise<void> {
  return new Promise((resolve) => {
    signal?.addEventListener('abort', () => {
      told.push(`${what} is told to stop`);
      if (isStubborn) return;
      world.clock.setTimer(afterMs, () => {
        told.push(`${what} ends`);
        resolve();
      });
    });
  });
}

@Injectable()
class Worker implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  leadership: Leadership | undefined;
  handle: LockHandle | undefined;

  @WithLock('invoices')
  async bill(@HeldLock() handle?: LockHandle, @StopSignal() signal?: AbortSignal): Promise<void> {
    this.handle = handle;
    await untilToldTo(signal, 'billing', 1_000);
    told.push(`the lock is held: ${handle?.isHeld()}`);
  }

  @WithLock('quick', { wait: '1s' })
  async flush(): Promise<void> {
    await Promise.resolve(told.push('flushed'));
  }

  @LeaderOnly('e')
  async lead(@LeaderSignal() signal?: AbortSignal): Promise<void> {
    await untilToldTo(signal, 'leading', 2_000);
    told.push(`the leadership is held: ${this.leadership?.isHeld()}`);
  }

  @OnElected('e')
  up(leadership: Leadership): void {
    this.leadership = leadership;
  }

  @OnDeposed('e')
  down(how: Deposition): void {
    told.push(`deposed: ${how}`);
  }

  async onModuleDestroy(): Promise<void> {
    told.push('onModuleDestroy');
    await this.flush().catch(() => told.push('not flushed'));
  }

  beforeApplicationShutdown(): void {
    told.push('beforeApplicationShutdown');
  }

  onApplicationShutdown(): void {
    told.push(`onApplicationShutdown, with ${world.store.keys().length} keys`);
  }
}

@Controller()
class HealthController {
  @Get()
  get(): string {
    return 'answers';
  }
}

async function serve(options: Partial<ConclaveModuleOptions> = {}): Promise<NestFastifyApplication> {
  const module = await world.compile({ providers: [Worker], controllers: [HealthController] }, options);
  const application = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), {
    logger: world.logs,
  });
  await application.init();
  const server = application.getHttpAdapter().getInstance();
  server.addHook(
    'onClose',
    () => void told.push(`the server closes, with ${world.store.keys().length} keys`),
  );
  await server.ready();
  await world.clock.settle();
  return application;
}

describe('the end of an application', () => {
  it('goes step by step: waiters, work, servers, leaderships, locks', async () => {
    const application = await serve();
    const worker = application.get(Worker);
    const other = await (await serve()).get(Connections).client().locks.mutex('other').acquire();
    const work = [outcomeOf(worker.bill()), outcomeOf(worker.lead())];
    const own = application.get(Connections).client();
    const direct = own.locks.mutex('other').acquire();
    await world.clock.settle();
    const waiting = outcomeOf(worker.bill());
    const waiter = outcomeOf(
      direct.catch((error: Error) => Promise.reject(error)).finally(() => told.push('a waiter gives up')),
    );
    const closing = outcomeOf(application.close());
    await world.clock.settle();
    expect(told).toContain('a waiter gives up');
    expect(told.filter((line) => line !== 'a waiter gives up')).toEqual([
      'onModuleDestroy',
      'flushed',
      'beforeApplicationShutdown',
      'billing is told to stop',
      'leading is told to stop',
    ]);
    expect([waiting.error, waiter.error]).toMatchObject([{ code: 'closed' }, { code: 'closed' }]);
    expect((await application.inject('/')).body).toBe('answers');
    told.length = 0;
    await world.clock.advance(2_500);
    expect(told).toEqual([
      'billing ends',
      'the lock is held: true',
      'leading ends',
      'the leadership is held: true',
      'the server closes, with 3 keys',
      'onApplicationShutdown, with 3 keys',
      'deposed: resigned',
    ]);
    expect(closing).toEqual({ settled: true, value: undefined });
    expect(work.map(({ error }) => error)).toEqual([undefined, undefined]);
    await other.release();
  });

  it('P19 is bounded: work that does not end is cut off, and what it runs under goes before the TTL', async () => {
    isStubborn = true;
    const application = await serve({ shutdown: { drain: '6s' } });
    const worker = application.get(Worker);
    const work = [outcomeOf(worker.bill()), outcomeOf(worker.lead())];
    await world.clock.settle();
    const closing = outcomeOf(application.close());
    await world.clock.advance(5_999);
    expect([worker.leadership?.isHeld(), worker.handle?.isHeld(), closing.settled]).toEqual([
      true,
      true,
      false,
    ]);
    await world.clock.advance(1);
    expect(worker.leadership?.signal.aborted).toBe(true);
    await world.clock.advance(3_000);
    expect(closing.settled).toBe(true);
    expect(told).toContain('deposed: closed');
    expect(worker.handle?.signal.aborted).toBe(true);
    expect(world.store.keys()).toEqual([]);
    await world.clock.advance(10_000);
    expect(work[0]?.error).toMatchObject({ code: 'lock-lost' });
  });

  it('is bounded when the store does not answer', async () => {
    const application = await serve();
    await world.clock.settle();
    world.store.partition();
    const closing = outcomeOf(application.close());
    await world.clock.advance(14_999);
    expect(closing.settled).toBe(true);
  });

  it('happens once, however often it is asked for', async () => {
    const application = await serve();
    const worker = application.get(Worker);
    const work = outcomeOf(worker.lead());
    await world.clock.settle();
    const closings = [outcomeOf(application.close()), outcomeOf(application.close())];
    await world.clock.advance(500);
    closings.push(outcomeOf(application.close()));
    await world.clock.advance(5_000);
    expect(closings.map(({ settled, error }) => [settled, error])).toEqual(
      closings.map(() => [true, undefined]),
    );
    expect(told.filter((line) => line.startsWith('deposed'))).toEqual(['deposed: resigned']);
    expect(work.error).toBeUndefined();
    expect(world.store.keys()).toEqual([]);
  });

  it('hands the leadership over at once', async () => {
    const [first, second] = [await serve(), await serve()];
    expect(second.get(Worker).leadership).toBeUndefined();
    await world.close(first);
    expect(second.get(Worker).leadership?.isHeld()).toBe(true);
    await world.close(second);
  });

  it('takes a drain that leaves the whole less than the TTL', () => {
    const endpoints: string[] = [];
    expect(drainMsOf({ endpoints })).toBe(8_000);
    expect(drainMsOf({ endpoints, elections: { ttl: '6s' } })).toBe(2_999);
    expect(drainMsOf({ endpoints, shutdown: { drain: '20s' }, elections: { ttl: '30s' } })).toBe(20_000);
    expect(() => drainMsOf({ endpoints, shutdown: { drain: '12s' } })).toThrow(
      /12000 ms, and 3000 ms .* TTL of 15000/,
    );
  });

  it('fails the start for a drain that cannot be', async () => {
    const module = await world.compile({ providers: [Worker] }, { shutdown: { drain: '15s' } });
    await expect(module.init()).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
