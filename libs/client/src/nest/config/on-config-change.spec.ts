import { Injectable, type LoggerService, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { IsInt, Max } from 'class-validator';
import { describe, expect, it } from 'vitest';
import { type ConfigChange, type ConfigRef } from '../../config/config-ref.js';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { ConclaveModule } from '../module/conclave.module.js';
import { Connections } from '../module/connections.js';
import { InjectConfig } from '../module/inject.js';
import { connectedTo } from '../testing/connected-to.js';
import { ConfigClass } from './decorators.js';
import { OnConfigChange, type OnConfigChangeOptions } from './on-config-change.js';

@ConfigClass({ namespace: 'billing' })
class Billing {
  @IsInt() @Max(100) a = 0;
  @IsInt() b = 0;
}

type Seen = [from: number, to: number, keys: string];

const shown = ({ previous, current, changedKeys }: ConfigChange<Billing>): Seen => [
  previous.a * 10 + previous.b,
  current.a * 10 + current.b,
  changedKeys.join(),
];

const release = (center: FakeCenter, a: number, b = 0): void => {
  center.publish({ billing: { content: `a: ${a}\nb: ${b}` } });
};

/** A running application with one handler; each call takes until `done` is called, when `isSlow`. */
async function application(options: OnConfigChangeOptions<Billing> = {}, isSlow = false) {
  const center = new FakeCenter();
  release(center, 1);
  const calls: Seen[] = [];
  const errors: string[] = [];
  const running: (() => void)[] = [];

  @Injectable()
  class Worker {
    @OnConfigChange(Billing, options)
    async onChange(change: ConfigChange<Billing>): Promise<void> {
      calls.push(shown(change));
      if (change.current.a === 13) throw new Error('thirteen');
      if (isSlow) await new Promise<void>((resolve) => running.push(resolve));
    }
  }
  const logger: LoggerService = {
    log: () => undefined,
    warn: () => undefined,
    error: (...parts: unknown[]) => errors.push(parts.map(String).join(' ')),
  };
  const imports = [ConclaveModule.forRoot(connectedTo(center)), ConclaveModule.forFeature([Billing])];
  const testing = Test.createTestingModule({ imports, providers: [Worker] }).setLogger(logger);
  const app = await (await testing.compile()).init();
  const done = async (): Promise<void> => {
    running.shift()?.();
    await center.clock.settle();
  };
  const publish = async (a: number, b = 0): Promise<void> => {
    release(center, a, b);
    await center.clock.settle();
  };
  return { center, app, calls, errors, done, publish, worker: app.get(Worker) };
}

describe('@OnConfigChange', () => {
  it('is called once for each release, with everything that changed', async () => {
    const { app, calls, publish } = await application();
    await publish(2, 5);
    await publish(2, 5);
    await publish(3, 5);
    expect(calls).toEqual([
      [10, 25, 'a,b'],
      [25, 35, 'a'],
    ]);
    await app.close();
  });

  it('initial: also with the first value, after the start', async () => {
    const { app, calls, publish, center } = await application({ initial: true });
    await center.clock.settle();
    expect(calls).toEqual([[10, 10, 'a,b']]);
    await publish(2);
    expect(calls.at(-1)).toEqual([10, 20, 'a']);
    await app.close();
  });

  it('keys: only when one of them changed, and tells all that changed since', async () => {
    const { app, calls, publish } = await application({ keys: ['b'] });
    await publish(2);
    await publish(3, 1);
    await publish(4, 1);
    expect(calls).toEqual([[20, 31, 'a,b']]);
    await app.close();
  });

  it('latest: while a call runs, all further changes become one', async () => {
    const { app, calls, publish, done } = await application({}, true);
    await publish(2);
    await publish(3);
    await publish(4);
    expect(calls).toEqual([[10, 20, 'a']]);
    await done();
    expect(calls.slice(1)).toEqual([[20, 40, 'a']]);
    await publish(5);
    await publish(4);
    // Nothing is different from what the last call was told.
    await done();
    expect(calls).toHaveLength(2);
    await app.close();
  });

  it('all: each change has its own call, in turn', async () => {
    const { app, calls, publish, done } = await application({ concurrency: 'all' }, true);
    await publish(2);
    await publish(3);
    await publish(4);
    for (const expected of [1, 2, 3]) {
      expect(calls).toHaveLength(expected);
      await done();
    }
    expect(calls.map(([, to]) => to)).toEqual([20, 30, 40]);
    await app.close();
  });

  it('debounce: once nothing has changed for so long', async () => {
    const { app, center, calls, publish } = await application({ debounce: '200ms' });
    await publish(2);
    await center.clock.advance(199);
    await publish(3);
    await center.clock.advance(199);
    expect(calls).toEqual([]);
    await center.clock.advance(1);
    expect(calls).toEqual([[10, 30, 'a']]);
    await app.close();
    expect(() => OnConfigChange(Billing, { debounce: 'soon' as '1s' })).toThrow(
      '@OnConfigChange debounce: soon',
    );
  });

  it('an error is logged and counted, and the next change is told', async () => {
    const { app, calls, errors, publish } = await application();
    await publish(13);
    await publish(14);
    expect(calls).toHaveLength(2);
    expect(errors).toEqual([expect.stringContaining('Worker.onChange failed to handle a change of Billing')]);
    expect(errors[0]).toContain('thirteen');
    expect(app.get(Connections).configs.handlers).toEqual(
      new Map([['Worker.onChange', { ok: 1, failed: 1 }]]),
    );
    await app.close();
  });

  it('a release that is refused is no change', async () => {
    const { app, calls, publish } = await application();
    await publish(101);
    expect(calls).toEqual([]);
    await publish(2);
    expect(calls).toEqual([[10, 20, 'a']]);
    await app.close();
  });

  it('no call begins after the shutdown began, and the one that runs is waited for', async () => {
    const { app, center, calls, publish, done } = await application({}, true);
    await publish(2);
    let isClosed = false;
    const closing = app.close().then(() => (isClosed = true));
    await publish(3);
    expect(isClosed).toBe(false);
    await done();
    await closing;
    await center.clock.settle();
    expect(calls).toHaveLength(1);
  });

  it('a call that does not end holds the shutdown up for shutdown.drain and no longer', async () => {
    const { app, center, publish } = await application({}, true);
    await publish(2);
    let isClosed = false;
    const closing = app.close().then(() => (isClosed = true));
    await center.clock.advance(7_999);
    expect(isClosed).toBe(false);
    await center.clock.advance(1);
    await closing;
  });

  it('its object gets no call once it is told to be destroyed itself', async () => {
    const center = new FakeCenter();
    release(center, 1);
    const events: string[] = [];
    @Injectable()
    class Worker implements OnModuleInit, OnModuleDestroy {
      onModuleInit(): void {
        events.push('init');
      }
      async onModuleDestroy(): Promise<void> {
        events.push('destroy');
        release(center, 3);
        await center.clock.settle();
      }
      @OnConfigChange(Billing, { initial: true }) onChange({ current }: ConfigChange<Billing>): void {
        events.push(`a=${current.a}`);
      }
    }
    const imports = [ConclaveModule.forRoot(connectedTo(center)), ConclaveModule.forFeature([Billing])];
    const app = await Test.createTestingModule({ imports, providers: [Worker] }).compile();
    await app.init();
    await center.clock.settle();
    await app.close();
    expect(events).toEqual(['init', 'a=1', 'destroy']);
  });

  it('a class that no forFeature names is told at the start', async () => {
    @Injectable()
    class Worker {
      @OnConfigChange(Billing) onChange(): void {}
    }
    const imports = [ConclaveModule.forRoot(connectedTo(new FakeCenter()))];
    const app = await Test.createTestingModule({ imports, providers: [Worker] }).compile();
    await expect(app.init()).rejects.toThrow(
      '@OnConfigChange(Billing) of Worker.onChange: import ConclaveModule.forFeature([Billing]) in its module',
    );
  });
});

describe('forFeature with config classes', () => {
  it('injects refs and proxies, that read the newest value', async () => {
    const center = new FakeCenter();
    release(center, 1);
    @Injectable()
    class Reader {
      constructor(
        @InjectConfig(Billing) readonly ref: ConfigRef<Billing>,
        @InjectConfig(Billing, { as: 'proxy' }) readonly billing: Billing,
      ) {}
    }
    const imports = [ConclaveModule.forRoot(connectedTo(center)), ConclaveModule.forFeature([Billing])];
    const app = await Test.createTestingModule({ imports, providers: [Reader] }).compile();
    await app.init();
    const { ref, billing } = app.get(Reader);
    expect(ref.value.a).toBe(1);
    expect(billing).toBeInstanceOf(Billing);
    expect({ ...billing }).toEqual({ a: 1, b: 0 });
    release(center, 2, 3);
    await center.clock.settle();
    expect([ref.value.a, billing.a, billing.b]).toEqual([2, 2, 3]);
    expect(Object.keys(billing)).toEqual(['a', 'b']);
    expect('a' in billing).toBe(true);
    expect(() => Object.assign(billing, { a: 1 })).toThrow('Billing is configuration, and read only');
    await app.close();
  });

  it('fails the start, and says everything that is wrong with every class', async () => {
    @ConfigClass({ namespace: 'mail', onInvalid: 'fail' })
    class Mail {
      @IsInt() port!: number;
    }
    const center = new FakeCenter();
    center.publish({ billing: { content: 'a: x' }, mail: { content: 'host: a' } });
    const imports = [ConclaveModule.forRoot(connectedTo(center)), ConclaveModule.forFeature([Billing, Mail])];
    await expect(Test.createTestingModule({ imports }).compile()).rejects.toThrow(
      /'billing' is refused: a: .*must be an integer number, is 'x'\n.*'mail' is refused: port: must be an integer number, is missing/s,
    );
    expect(center.clock.timers).toBe(0);
  });
});
