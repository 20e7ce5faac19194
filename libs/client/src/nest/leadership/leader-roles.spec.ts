import { Injectable } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Leadership } from '../../concurrency/leadership.js';
import { UnauthorizedError } from '../../errors.js';
import { outcomeOf } from '../../testing/outcome.js';
import { LeaderSignal } from '../methods/marked-parameters.js';
import { NestWorld } from '../methods/testing/nest-world.js';
import { Connections } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { LeaderOnly } from './leader-only.js';
import { type Deposition, OnDeposed, OnElected } from './role-events.js';

/** What happened in all instances, in order. */
let told: string[];
let world: NestWorld;
beforeEach(() => {
  world = new NestWorld();
  told = [];
  names = 0;
});
afterEach(() => world.closeAll());
let names: number;

@Injectable()
class Worker {
  readonly name = `worker ${(names += 1)}`;
  leadership: Leadership | undefined;
  upWaitsFor: Promise<void> = Promise.resolve();
  downWaitsFor: Promise<void> = Promise.resolve();
  runWaitsFor: Promise<void> = Promise.resolve();
  signal: AbortSignal | undefined;

  @OnElected('billing')
  async up(leadership: Leadership): Promise<void> {
    this.leadership = leadership;
    told.push(`${this.name} up`);
    await this.upWaitsFor;
    told.push(`${this.name} is up`);
  }

  @OnDeposed('billing')
  async down(how: Deposition): Promise<void> {
    told.push(`${this.name} down: ${how}`);
    await this.downWaitsFor;
  }

  @LeaderOnly('billing')
  async rebuild(@LeaderSignal() signal?: AbortSignal): Promise<string | undefined> {
    this.signal = signal;
    await this.runWaitsFor;
    return `rebuilt by ${this.name}`;
  }

  @LeaderOnly('billing', { onFollower: 'throw' })
  async mustLead(): Promise<number> {
    return Promise.resolve(1);
  }

  @LeaderOnly('billing', {
    onFollower(this: Worker, { election, leader, args }) {
      return `${this.name} asks ${leader} of ${election} for ${args.join()}`;
    },
  })
  async ask(what: string): Promise<string> {
    return Promise.resolve(`${this.name} gives ${what}`);
  }
}

@Injectable()
class Faulty {
  @OnElected('billing')
  up(): void {
    throw new Error('cannot begin');
  }
  @OnDeposed('billing')
  async down(): Promise<void> {
    told.push('faulty down');
    await Promise.reject(new Error('cannot end'));
  }
}

async function two(): Promise<[Worker, Worker]> {
  const a = await world.start({ providers: [Worker] }, { elections: { advertiseUrl: 'http://a:1' } });
  const b = await world.start({ providers: [Worker] }, { elections: { advertiseUrl: 'http://b:2' } });
  return [a.get(Worker), b.get(Worker)];
}

/** Takes the leadership away as somebody does who deletes its key. */
async function depose(leader: Worker): Promise<void> {
  world.store.deleteKey(leader.leadership?.key ?? '');
  await world.clock.settle();
}

describe('an election that decorators name', () => {
  it('is taken part in once per application, from its start to its end', async () => {
    const module = await world.compile({ providers: [Worker, Faulty] });
    expect(world.store.keys()).toEqual([]);
    await module.init();
    await world.clock.settle();
    expect(world.store.keys()).toHaveLength(1);
    expect(applicationOf(module.get(Connections)).roles.all()).toHaveLength(1);
    await world.close(module);
    expect(world.store.keys()).toEqual([]);
  });

  it('is begun again after it failed', async () => {
    const module = await world.start({ providers: [Worker] });
    world.store.cutStreams(new UnauthorizedError('permission denied'));
    await world.clock.advance(4_000);
    expect(world.logs.has('cannot take part', "'billing'", 'permission denied')).toBe(true);
    expect(told).toEqual(['worker 1 up', 'worker 1 is up', 'worker 1 down: resigned']);
    await world.clock.advance(2_000);
    expect(told.slice(3)).toEqual(['worker 1 up', 'worker 1 is up']);
    expect(module.get(Worker).leadership?.isHeld()).toBe(true);
  });

  it('has a leader that proclaims its URL, also one that is known only later', async () => {
    let port = 0;
    const advertiseUrl = (): Promise<string> => Promise.resolve(`http://late:${port}`);
    port = 81;
    const module = await world.start({ providers: [Worker] }, { elections: { advertiseUrl } });
    const leader = await module.get(Connections).client().elections.election('billing').leader();
    expect(leader?.text).toBe('http://late:81');
  });

  it('needs a connection that is there', async () => {
    class Elsewhere {
      @LeaderOnly('x', { connection: 'other' })
      async run(): Promise<void> {}
    }
    const module = await world.compile({ providers: [Elsewhere] });
    await expect(module.init()).rejects.toThrow(/there is no connection 'other'/);
  });
});

describe('@LeaderOnly', () => {
  it('runs in the leader, and skips, throws or asks in a follower', async () => {
    const [a, b] = await two();
    expect(await a.rebuild()).toBe('rebuilt by worker 1');
    expect(await a.mustLead()).toBe(1);
    expect(await a.ask('x')).toBe('worker 1 gives x');
    expect(await b.rebuild()).toBeUndefined();
    await expect(b.mustLead()).rejects.toMatchObject({ code: 'not-leader', leader: 'http://a:1' });
    expect(await b.ask('x')).toBe('worker 2 asks http://a:1 of billing for x');
  });

  it('does not run before the application has started', async () => {
    const module = await world.compile({ providers: [Worker] });
    await expect(module.get(Worker).mustLead()).rejects.toThrow(/no running application/);
  });

  it('knows by the clock that it does not lead any more, before any timer has fired', async () => {
    const [a] = await two();
    world.clock.stall(16_000);
    expect(await a.rebuild()).toBeUndefined();
  });

  it('aborts the signal of a run that outlives the leadership, and rejects although it returns', async () => {
    const [a, b] = await two();
    let end = (): void => undefined;
    a.runWaitsFor = new Promise((resolve) => (end = resolve));
    const run = outcomeOf(a.rebuild());
    await world.clock.settle();
    expect(a.signal?.aborted).toBe(false);
    await depose(a);
    expect(a.signal?.aborted).toBe(true);
    expect(run.settled).toBe(false);
    expect(await b.rebuild()).toBe('rebuilt by worker 2');
    end();
    await world.clock.settle();
    expect(run.error).toMatchObject({ code: 'leadership-lost' });
  });

  it('P19 is waited for when the leader resigns', async () => {
    const [a, b] = await two();
    let end = (): void => undefined;
    a.runWaitsFor = new Promise((resolve) => (end = resolve));
    const run = outcomeOf(a.rebuild());
    await world.clock.settle();
    void a.leadership?.resign();
    await world.clock.advance(1_000);
    expect([a.signal?.aborted, a.leadership?.isHeld()]).toEqual([true, true]);
    expect([await a.rebuild(), await b.rebuild()]).toEqual([undefined, undefined]);
    end();
    await world.clock.settle();
    expect(run.value).toBe('rebuilt by worker 1');
    expect(await b.rebuild()).toBe('rebuilt by worker 2');
  });
});

describe('@OnElected and @OnDeposed', () => {
  it('P21 are told in pairs and in order, by each of several leaders', async () => {
    const [a, b] = await two();
    await depose(a);
    await world.clock.advance(2_000);
    await depose(b);
    await world.clock.advance(2_000);
    expect(told).toEqual([
      'worker 1 up',
      'worker 1 is up',
      'worker 1 down: key-deleted',
      'worker 2 up',
      'worker 2 is up',
      'worker 2 down: key-deleted',
      'worker 1 up',
      'worker 1 is up',
    ]);
  });

  it('P21 a leadership that is over while the handlers of the one before run is not told', async () => {
    const module = await world.start({ providers: [Worker] });
    const worker = module.get(Worker);
    let end = (): void => undefined;
    worker.downWaitsFor = new Promise((resolve) => (end = resolve));
    await depose(worker);
    await world.clock.advance(2_000);
    const [second] = world.store.keys();
    expect(second).toBeDefined();
    world.store.deleteKey(second ?? '');
    await world.clock.settle();
    end();
    await world.clock.advance(2_000);
    const downs = told.filter((line) => line.includes('down'));
    const ups = told.filter((line) => line.endsWith(' up') && !line.includes('is up'));
    expect(downs).toHaveLength(1);
    expect(ups).toHaveLength(2);
    expect(worker.leadership?.isHeld()).toBe(true);
  });

  it('waits for the handler of the election before it tells the end, and not for ever', async () => {
    const module = await world.start({ providers: [Worker] }, { shutdown: { drain: '4s' } });
    const worker = module.get(Worker);
    await depose(worker);
    let end = (): void => undefined;
    worker.upWaitsFor = new Promise((resolve) => (end = resolve));
    await world.clock.advance(2_000);
    told.length = 0;
    await depose(worker);
    await world.clock.advance(3_000);
    expect(told).toEqual([]);
    end();
    await world.clock.settle();
    expect(told.slice(0, 2)).toEqual(['worker 1 is up', 'worker 1 down: key-deleted']);
    worker.upWaitsFor = new Promise(() => undefined);
    await depose(worker);
    await world.clock.advance(2_000);
    told.length = 0;
    await depose(worker);
    await world.clock.advance(3_999);
    expect(told).toEqual([]);
    await world.clock.advance(1);
    expect(told[0]).toBe('worker 1 down: key-deleted');
  });

  it('logs what a handler throws, tells the others, and still tells the end', async () => {
    const module = await world.start({ providers: [Faulty, Worker] });
    expect(told).toEqual(['worker 1 up', 'worker 1 is up']);
    expect(world.logs.has('Faulty.up', 'cannot begin')).toBe(true);
    await depose(module.get(Worker));
    expect(told).toContain('faulty down');
    expect(told).toContain('worker 1 down: key-deleted');
    expect(world.logs.has('Faulty.down', 'cannot end')).toBe(true);
  });

  it('tells a loss with its reason: nothing is heard of the store', async () => {
    const [a, b] = await two();
    world.store.partition();
    await world.clock.advance(20_000);
    expect(told.at(-1)).toMatch(/^worker 1 down: lease-expired-local/);
    expect([await a.rebuild(), await b.rebuild()]).toEqual([undefined, undefined]);
    world.store.heal();
    await world.clock.advance(30_000);
    expect(told.at(-2)).toMatch(/^worker [12] up/);
  });
});
