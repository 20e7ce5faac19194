import { Controller, Get, Injectable, Req, SetMetadata } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Cron } from '@nestjs/schedule';
import { filter, firstValueFrom, ReplaySubject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Waiter } from '../../concurrency/lock-queue.js';
import { currentLock, type LockHandle } from '../../concurrency/mutex.js';
import { LockTimeoutError } from '../../errors.js';
import { outcomeOf } from '../../testing/outcome.js';
import { HeldLock, StopSignal } from '../methods/marked-parameters.js';
import { NestWorld } from '../methods/testing/nest-world.js';
import { WithLock } from './with-lock.js';

/** A promise that the test settles. */
class Gate {
  open: () => void = () => undefined;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

@Injectable()
class Billing {
  readonly begun: string[] = [];
  readonly gate = new Gate();
  readonly region = 'eu';
  handle: LockHandle | undefined;
  signal: AbortSignal | undefined;

  @WithLock((id: string) => `invoice/${id}`)
  async pay(id: string, amount: number): Promise<string> {
    this.begun.push(id);
    await this.gate.opened;
    return `${this.region} ${id} ${amount}`;
  }

  @WithLock(function (this: Billing, id: string) {
    return `${this.region}/${id}`;
  })
  async regional(_id: string): Promise<string | undefined> {
    return Promise.resolve(currentLock()?.key);
  }

  @WithLock('report')
  async report(
    title: string,
    @HeldLock() handle?: LockHandle,
    @StopSignal() signal?: AbortSignal,
  ): Promise<void> {
    this.begun.push(title);
    this.handle = handle;
    this.signal = signal;
    await this.gate.opened;
  }

  @WithLock('report', { onBusy: 'skip' })
  async reportOrSkip(): Promise<string | undefined> {
    return Promise.resolve('reported');
  }

  @WithLock('report', { onBusy: 'skip', wait: '3s' })
  async reportSoonOrSkip(): Promise<string | undefined> {
    return Promise.resolve('reported');
  }

  @WithLock('report', { onBusy: 'throw' })
  async reportOrThrow(): Promise<string> {
    return Promise.resolve('reported');
  }

  @WithLock('report', { wait: '3s' })
  async reportSoon(): Promise<string> {
    return Promise.resolve('reported');
  }

  @WithLock('report', { wait: '3s', onUnavailable: 'run' })
  async reportAnyway(@HeldLock() handle?: LockHandle): Promise<string> {
    return Promise.resolve(handle === undefined ? 'without the lock' : 'under the lock');
  }

  @WithLock('report')
  async again(): Promise<void> {
    await this.again();
  }

  @WithLock('outer', { onBusy: 'skip' })
  async impatient(): Promise<void> {
    await Promise.reject(new LockTimeoutError('of the method itself'));
  }
}

let world: NestWorld;
beforeEach(() => {
  world = new NestWorld();
});
afterEach(() => world.closeAll());

async function instances(count: number): Promise<Billing[]> {
  const all: Billing[] = [];
  while (all.length < count) all.push((await world.start({ providers: [Billing] })).get(Billing));
  return all;
}

describe('@WithLock', () => {
  it('runs one call over all applications at a time, in the order of asking, and gives what the method gives', async () => {
    const [a, b] = (await instances(2)) as [Billing, Billing];
    const first = a.pay('1', 5);
    await world.clock.settle();
    const second = outcomeOf(b.pay('1', 6));
    const other = outcomeOf(b.pay('2', 7));
    await world.clock.settle();
    expect([a.begun, b.begun]).toEqual([['1'], ['2']]);
    a.gate.open();
    expect(await first).toBe('eu 1 5');
    await world.clock.settle();
    expect(b.begun).toEqual(['2', '1']);
    b.gate.open();
    await world.clock.settle();
    expect([second.value, other.value]).toEqual(['eu 1 6', 'eu 2 7']);
    expect(world.store.keys()).toEqual([]);
  });

  it('asks the instance for the name, and is found by currentLock', async () => {
    const [a] = (await instances(1)) as [Billing];
    expect(await a.regional('7')).toMatch(/^locks\/eu%2F7\//);
  });

  it('gives the handle and a signal that aborts with the lock, and rejects when it was lost', async () => {
    const [a, b] = (await instances(2)) as [Billing, Billing];
    const call = outcomeOf(a.report('a'));
    await world.clock.settle();
    expect(a.handle?.isHeld()).toBe(true);
    expect(a.signal?.aborted).toBe(false);
    const next = outcomeOf(b.report('b'));
    await world.clock.advance(100); // a lock that is held for a moment only is not watched
    world.store.deleteKey(a.handle?.key ?? '');
    await world.clock.settle();
    expect(a.signal?.aborted).toBe(true);
    expect(b.begun).toEqual(['b']);
    expect(b.handle?.token).toBeGreaterThan(a.handle?.token ?? 0n);
    expect(call.settled).toBe(false);
    a.gate.open();
    b.gate.open();
    await world.clock.settle();
    expect(call.error).toMatchObject({ code: 'lock-lost' });
    expect(next.error).toBeUndefined();
  });

  it('throws, skips or waits when it is busy, as it is told', async () => {
    const [a, b] = (await instances(2)) as [Billing, Billing];
    void a.report('a');
    await world.clock.settle();
    await expect(b.reportOrThrow()).rejects.toMatchObject({ code: 'lock-timeout' });
    expect(await b.reportOrSkip()).toBeUndefined();
    const [late, skipped] = [outcomeOf(b.reportSoon()), outcomeOf(b.reportSoonOrSkip())];
    await world.clock.advance(2_999);
    expect([late.settled, skipped.settled]).toEqual([false, false]);
    await world.clock.advance(1);
    expect(late.error).toMatchObject({ code: 'lock-timeout' });
    expect(skipped).toEqual({ settled: true, value: undefined });
    const intime = outcomeOf(b.reportSoonOrSkip());
    await world.clock.advance(1_000);
    a.gate.open();
    await world.clock.settle();
    expect(intime.value).toBe('reported');
    expect(await b.reportOrSkip()).toBe('reported');
  });

  it('P17 fails closed when the store does not answer, also where it would skip, and runs without the lock only when told to', async () => {
    const [a] = (await instances(1)) as [Billing];
    world.store.partition();
    const calls = [a.reportOrSkip(), a.reportSoonOrSkip(), a.reportOrThrow()].map(outcomeOf<unknown>);
    const anyway = outcomeOf(a.reportAnyway());
    await world.clock.advance(12_000);
    const silence = expect.stringMatching(/timeout|maybe-applied|unavailable/) as string;
    for (const call of calls) expect(call.error).toMatchObject({ code: silence });
    expect(anyway.value).toBe('without the lock');
    expect(world.logs.has("lock 'report'", 'runs without it')).toBe(true);
    world.store.heal();
    await world.clock.advance(20_000);
    const protectedCall = outcomeOf(a.reportAnyway());
    await world.clock.advance(5_000);
    expect(protectedCall.value).toBe('under the lock');
  });

  it('does not run without the lock because it is taken', async () => {
    const [a, b] = (await instances(2)) as [Billing, Billing];
    void a.report('a');
    await world.clock.settle();
    const call = outcomeOf(b.reportAnyway());
    await world.clock.advance(3_000);
    expect(call.error).toMatchObject({ code: 'lock-timeout' });
    a.gate.open();
  });

  it('P16 refuses a call from within the same lock', async () => {
    const [a] = (await instances(1)) as [Billing];
    await expect(a.again()).rejects.toMatchObject({ code: 'deadlock' });
  });

  it('takes no error of the method for its own', async () => {
    const [a] = (await instances(1)) as [Billing];
    await expect(a.impatient()).rejects.toThrow('of the method itself');
  });

  it('tells what is missing when the instance was not made by Nest', async () => {
    await expect(new Billing().reportOrSkip()).rejects.toThrow(/belongs to no running application/);
    await instances(2);
    await expect(new Billing().reportOrSkip()).rejects.toThrow(/let Nest make it/);
  });
});

describe('@WithLock on a controller', () => {
  @Controller()
  class Exports {
    @Get()
    @WithLock('export')
    async make(@Req() _request: unknown): Promise<string> {
      return Promise.resolve('made');
    }
  }

  it('waits no longer than its request lives', async () => {
    const module = await world.compile({ controllers: [Exports] });
    const server = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), {
      logger: world.logs,
    });
    await server.listen(0, '127.0.0.1');
    const mutex = world.client().locks.mutex('export');
    const held = await mutex.acquire();
    const address = await server.getUrl();
    const seen = new ReplaySubject<readonly Waiter[]>(1);
    const subscription = mutex.queue$().subscribe(seen);
    const queue = (length: number) =>
      firstValueFrom(seen.pipe(filter((waiters) => waiters.length === length)));
    const gone = new AbortController();
    const impatient = fetch(address, { signal: gone.signal }).catch((error: Error) => error.name);
    await queue(2);
    gone.abort();
    expect(await impatient).toBe('AbortError');
    await queue(1);
    expect(held.isHeld()).toBe(true);
    await held.release();
    expect(await (await fetch(address)).text()).toBe('made');
    subscription.unsubscribe();
    await world.close(server);
  });
});

describe('@WithLock and other decorators', () => {
  /** As @OnEvent does: a list on the method, one item for each decorator. */
  const OnThing = (thing: string): MethodDecorator =>
    ((_target: object, _key: string | symbol, { value }: PropertyDescriptor) => {
      const method = value as object;
      const known = (Reflect.getMetadata('things', method) ?? []) as string[];
      Reflect.defineMetadata('things', [...known, thing], method);
    }) as MethodDecorator;

  class Decorated {
    @OnThing('b')
    @WithLock('x')
    @Cron('0 0 3 * * *', { name: 'below' })
    @OnThing('a')
    @SetMetadata('roles', ['admin'])
    async above(_one: string, _two: number): Promise<void> {}

    @SetMetadata('roles', ['admin'])
    @Cron('0 0 3 * * *', { name: 'above' })
    @WithLock('x')
    async below(): Promise<void> {}
  }

  it('keeps name, length and all metadata, whichever stands above', () => {
    const { above, below } = Decorated.prototype;
    expect([above.name, above.length, below.name, below.length]).toEqual(['above', 2, 'below', 0]);
    for (const method of [above, below]) {
      expect(Reflect.getMetadata('roles', method)).toEqual(['admin']);
      expect(Reflect.getMetadata('SCHEDULER_TYPE', method)).toBeDefined();
      expect(Reflect.getMetadata('SCHEDULE_CRON_OPTIONS', method)).toMatchObject({ cronTime: '0 0 3 * * *' });
    }
    expect(Reflect.getMetadata('things', above)).toEqual(['a', 'b']);
  });

  it('refuses what returns no promise, when compiled and when declared', () => {
    expect(() => {
      class Sync {
        // @ts-expect-error: the caller would get a promise of the number
        @WithLock('x')
        count(): number {
          return 1;
        }
      }
      return Sync;
    }).toThrow(/@WithLock on Sync.count: it returns Number.*make the method async/);
    expect(() => {
      class Skipping {
        // @ts-expect-error: it may give undefined
        @WithLock('x', { onBusy: 'skip' })
        async count(): Promise<number> {
          return Promise.resolve(1);
        }
      }
      return Skipping;
    }).not.toThrow();
    expect(() => {
      class Named {
        // @ts-expect-error: the name is made of a number
        @WithLock((id: number) => String(id))
        async pay(_id: string): Promise<void> {}
      }
      return Named;
    }).not.toThrow();
  });

  it('refuses options that cannot work, when the class is declared', () => {
    const wrong = { code: 'invalid-argument' };
    for (const options of [
      { ttl: '1s' },
      { wait: -1 },
      { onUnavailable: 'run' },
      { abortGrace: -1 },
    ] as const)
      expect(() => WithLock('x', options)).toThrow(expect.objectContaining(wrong));
  });
});
