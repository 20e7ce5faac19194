import { BehaviorSubject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { type Election } from './election.js';
import { type Leadership } from './leadership.js';
import { type ElectionState, type ParticipateOptions } from './participation.js';

/** The states in words, and the newest of them. */
class Watcher {
  readonly roles: string[] = [];
  state: ElectionState | undefined;
  error: unknown;
  completed = false;
  private readonly subscription;

  constructor(election: Election, options: ParticipateOptions = {}) {
    this.subscription = election.participate(options).subscribe({
      next: (state) => {
        this.state = state;
        this.roles.push(state.role === 'candidate' ? `candidate ${state.ahead}` : state.role);
      },
      error: (error: unknown) => (this.error = error),
      complete: () => (this.completed = true),
    });
  }

  get leadership(): Leadership {
    if (this.state === undefined || !('leadership' in this.state))
      throw new Error(`no leader: ${this.state?.role}`);
    return this.state.leadership;
  }

  stop(): void {
    this.subscription.unsubscribe();
  }
}

describe('taking part in an election', () => {
  it('P21 tells every state in order, with each leadership and its end exactly paired', async () => {
    const world = new FakeWorld();
    const [a, b] = [world.client(), world.client()];
    const first = new Watcher(a.elections.election('e'), { value: 'a' });
    await world.clock.settle();
    const second = new Watcher(b.elections.election('e'), { value: 'b' });
    await world.clock.settle();
    expect(first.roles).toEqual(['follower', 'leader']);
    expect(second.roles).toEqual(['follower', 'candidate 1']);
    expect(second.state).toMatchObject({ leader: { text: 'a' } });
    first.stop();
    await world.clock.settle();
    expect(second.roles).toEqual(['follower', 'candidate 1', 'candidate 1', 'leader']);
    world.store.deleteKey(second.leadership.key);
    await world.clock.settle();
    await world.clock.advance(1_500);
    const told = second.roles.slice(3);
    expect(told).toEqual(['leader', 'follower', 'leader']);
    expect(first.roles).toEqual(['follower', 'leader']);
  });

  it('P21 tells the end of a leadership before the next one can begin, also when the answer is late', async () => {
    const world = new FakeWorld();
    const order: string[] = [];
    const take = (name: string): void =>
      void world
        .client()
        .elections.election('e')
        .participate({ value: name, cooldown: '1m' })
        .subscribe((state) => {
          order.push(`${name} ${state.role}`);
          if (state.role !== 'leader' || name !== 'a') return;
          world.store.holdAnswer('txn');
          void state.leadership.resign();
        });
    const first = world.client().elections.election('e');
    const blocking = await first.campaign();
    take('a');
    await world.clock.settle();
    take('b');
    await world.clock.settle();
    order.length = 0;
    await blocking.resign();
    await world.clock.settle();
    const a = order.filter((state) => state.startsWith('a') && state !== 'a candidate');
    expect(a.slice(0, 3)).toEqual(['a leader', 'a draining', 'a follower']);
    expect(order.indexOf('a follower')).toBeLessThan(order.indexOf('b leader'));
  });

  it('P21 never leads after it was unsubscribed, at whatever moment, and leaves no key', async () => {
    for (let turns = 0; turns < 30; turns += 1) {
      const world = new FakeWorld();
      const watcher = new Watcher(world.client().elections.election('e'));
      for (let turn = 0; turn < turns * 2; turn += 1) await Promise.resolve();
      watcher.stop();
      const told = [...watcher.roles];
      await world.clock.advance(3_000);
      expect(watcher.roles).toEqual(told);
      expect(world.store.keys()).toEqual([]);
    }
  });

  it('P21 a candidate that resigns while it waits is not elected when its turn comes', async () => {
    const world = new FakeWorld();
    const leader = await world.client().elections.election('e').campaign();
    const watcher = new Watcher(world.client().elections.election('e'));
    await world.clock.settle();
    const told = [...watcher.roles];
    watcher.stop();
    await leader.resign();
    await world.clock.advance(5_000);
    expect(watcher.roles).toEqual(told);
    expect(told).toEqual(['follower', 'candidate 1']);
  });

  it('is suspect while answers are overdue, leader again after the next, and follower after the deadline', async () => {
    const world = new FakeWorld();
    const watcher = new Watcher(world.client().elections.election('e', { ttl: '9s', margin: '1s' }));
    await world.clock.advance(100);
    world.store.partition();
    await world.clock.advance(7_000);
    world.store.heal();
    await world.clock.advance(1_000);
    expect(watcher.roles).toEqual(['follower', 'leader', 'suspect', 'leader']);
    world.store.partition();
    await world.clock.advance(9_000);
    expect(watcher.roles.slice(4)).toEqual(['suspect', 'follower']);
  });

  it('P20 waits after a leadership has ended, with jitter, before it is a candidate again', async () => {
    const world = new FakeWorld();
    const watcher = new Watcher(world.client().elections.election('e'), { cooldown: '4s' });
    await world.clock.settle();
    for (let round = 0; round < 3; round += 1) {
      world.store.deleteKey(watcher.leadership.key);
      await world.clock.settle();
      expect(world.store.keys()).toEqual([]);
      await world.clock.advance(4_999); // random() is one half here: 4 s and a quarter of it
      expect(watcher.state?.role).toBe('follower');
      await world.clock.advance(1);
      expect(watcher.state?.role).toBe('leader');
    }
  });

  it('P20 is a candidate only while it is eligible, and drains and resigns when it is not any more', async () => {
    const world = new FakeWorld();
    const healthy = new BehaviorSubject(false);
    const watcher = new Watcher(world.client().elections.election('e'), { eligible$: healthy });
    await world.clock.advance(10_000);
    expect(watcher.roles).toEqual(['follower']);
    healthy.next(true);
    await world.clock.settle();
    const { leadership } = watcher;
    let end = (): void => undefined;
    leadership.waitUntil(new Promise<void>((resolve) => (end = resolve)));
    healthy.next(false);
    await world.clock.settle();
    expect(watcher.roles).toEqual(['follower', 'leader', 'draining']);
    expect(leadership.stopping.aborted).toBe(true);
    expect(leadership.isHeld()).toBe(true);
    end();
    await world.clock.settle();
    expect(await leadership.done).toBe('resigned');
    expect(world.store.keys()).toEqual([]);
    await world.clock.advance(60_000);
    expect(new Set(watcher.roles.slice(3))).toEqual(new Set(['follower']));
    healthy.next(true);
    await world.clock.settle();
    expect(watcher.state?.role).toBe('leader');
    watcher.stop();
  });

  it('P20 leaves the queue when it is not eligible any more while it waits', async () => {
    const world = new FakeWorld();
    const leader = await world.client().elections.election('e').campaign();
    const healthy = new BehaviorSubject(true);
    const watcher = new Watcher(world.client().elections.election('e'), { eligible$: healthy });
    await world.clock.settle();
    expect(watcher.state).toMatchObject({ role: 'candidate', ahead: 1 });
    healthy.next(false);
    await world.clock.settle();
    expect(world.store.keys()).toEqual([leader.key]);
    await leader.resign();
    await world.clock.settle();
    expect(watcher.state).toEqual({ role: 'follower', leader: null });
  });

  it('P19 lets the work of an unsubscribed leader end before its key goes', async () => {
    const world = new FakeWorld();
    const watcher = new Watcher(world.client().elections.election('e'));
    await world.clock.settle();
    const { leadership } = watcher;
    let end = (): void => undefined;
    leadership.waitUntil(new Promise<void>((resolve) => (end = resolve)));
    watcher.stop();
    await world.clock.advance(3_000);
    expect(world.store.keys()).toEqual([leadership.key]);
    end();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([]);
  });

  it('errors with the error of eligible$ and resigns, and completes when the client closes', async () => {
    const world = new FakeWorld();
    const healthy = new BehaviorSubject(true);
    const watcher = new Watcher(world.client().elections.election('e'), { eligible$: healthy });
    await world.clock.settle();
    healthy.error(new Error('no health'));
    await world.clock.settle();
    expect(watcher.error).toMatchObject({ message: 'no health' });
    expect(world.store.keys()).toEqual([]);
    const client = world.client();
    const other = new Watcher(client.elections.election('e'));
    await world.clock.settle();
    await client.close();
    await world.clock.advance(2_000);
    expect(other.roles).toEqual(['follower', 'leader', 'follower']);
    expect(other.error).toBeUndefined();
    expect(other.completed).toBe(true);
  });
});
