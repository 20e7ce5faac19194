import { describe, expect, it } from 'vitest';
import { LockLostError, UnavailableError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { type LockHandle } from './mutex.js';
import { type Waiter } from './lock-queue.js';

describe('the queue of a lock', () => {
  it('shows the holder first, then who waits, with the tokens that they will have', async () => {
    const world = new FakeWorld();
    const [a, b] = [world.client(), world.client()];
    const seen: (readonly Waiter[])[] = [];
    const watching = a.locks
      .mutex('m')
      .queue$()
      .subscribe((queue) => seen.push(queue));
    await world.clock.settle();
    const first = await a.locks.mutex('m').acquire();
    const second = outcomeOf(b.locks.mutex('m', { value: 'the second' }).acquire());
    await world.clock.settle();
    const queue = await a.locks.mutex('m').queue();
    expect(queue.map(({ text, isHolder }) => [text, isHolder])).toEqual([
      ['host:1', true],
      ['the second', false],
    ]);
    await first.release();
    await world.clock.settle();
    expect(second.value?.token).toBe(queue[1]?.token);
    expect(seen.map((entries) => entries.map((waiter) => waiter.text))).toEqual([
      [],
      ['host:1'],
      ['host:1', 'the second'],
      ['the second'],
    ]);
    expect(seen.at(-1)?.[0]).toMatchObject({ isHolder: true, leaseId: second.value?.leaseId });
    watching.unsubscribe();
  });

  it('tells a waiter each change of the number before it, also when somebody in the middle leaves', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    const stop = new AbortController();
    const second = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const third = outcomeOf(world.client().locks.mutex('m').acquire({ signal: stop.signal }));
    await world.clock.settle();
    const seen: number[] = [];
    const last = outcomeOf(
      world
        .client()
        .locks.mutex('m')
        .acquire({ onQueued: (ahead) => seen.push(ahead) }),
    );
    await world.clock.settle();
    expect(seen).toEqual([3]);
    await first.release();
    await world.clock.settle();
    expect(seen).toEqual([3, 2]);
    stop.abort();
    await world.clock.settle();
    expect(seen).toEqual([3, 2, 1]);
    await second.value?.release();
    await world.clock.settle();
    expect(last.value?.isHeld()).toBe(true);
    expect(seen).toEqual([3, 2, 1]);
    expect(third.error).toMatchObject({ code: 'cancelled' });
  });

  it('tells who waits inside this process how many of this process stand before', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    const first = await mutex.acquire();
    const stop = new AbortController();
    const second = outcomeOf(mutex.acquire({ signal: stop.signal }));
    const seen: number[] = [];
    const third = outcomeOf(mutex.acquire({ onQueued: (ahead) => seen.push(ahead) }));
    await world.clock.settle();
    stop.abort();
    await world.clock.settle();
    expect(second.error).toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual([2, 1]);
    await first.release();
    await world.clock.settle();
    expect(third.value?.isHeld()).toBe(true);
  });

  it('counts anew when only the watch on the queue has a gap in its history', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    void outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const seen: number[] = [];
    const options = { onQueued: (ahead: number): unknown => seen.push(ahead) };
    void outcomeOf(world.client().locks.mutex('m').acquire(options));
    await world.clock.settle();
    const onQueue = world.store.watchers.filter((stream) => (stream.created?.range_end.length ?? 0) > 0);
    expect(onQueue).toHaveLength(1);
    onQueue[0]?.fail(new UnavailableError('lost'));
    world.store.deleteKey(first.key);
    world.store.putKey('x', 'y');
    world.store.compactTo(world.store.revision);
    await world.clock.advance(500);
    expect(seen).toEqual([2, 1]);
  });

  it('lets a callback that throws end its own wait, and nobody else', async () => {
    const world = new FakeWorld();
    const mutex = world.client().locks.mutex('m');
    const first = await mutex.acquire();
    const thrown = outcomeOf(
      mutex.acquire({
        onQueued: () => {
          throw new Error('of the callback');
        },
      }),
    );
    const next = outcomeOf(mutex.acquire());
    await world.clock.settle();
    expect(thrown.error?.message).toBe('of the callback');
    await first.release();
    await world.clock.settle();
    expect(next.value?.isHeld()).toBe(true);
  });

  it('goes on counting over a compaction', async () => {
    const world = new FakeWorld();
    const first = await world.client().locks.mutex('m').acquire();
    const second = outcomeOf(world.client().locks.mutex('m').acquire());
    await world.clock.settle();
    const seen: number[] = [];
    const options = { onQueued: (ahead: number): unknown => seen.push(ahead) };
    const third = outcomeOf(world.client().locks.mutex('m').acquire(options));
    await world.clock.settle();
    world.store.partition();
    world.store.deleteKey(first.key);
    world.store.putKey('x', 'y');
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(500);
    expect(seen).toEqual([2, 1]);
    await second.value?.release();
    await world.clock.settle();
    expect(third.value?.isHeld()).toBe(true);
  });
});

describe('hold$', () => {
  it('acquires when subscribed and releases when unsubscribed', async () => {
    const world = new FakeWorld();
    const handles: LockHandle[] = [];
    const subscription = world
      .client()
      .locks.mutex('m')
      .hold$()
      .subscribe((handle) => handles.push(handle));
    await world.clock.settle();
    expect(world.store.keys()).toEqual([handles[0]?.key]);
    subscription.unsubscribe();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([]);
    expect(handles).toHaveLength(1);
  });

  it('stops waiting when unsubscribed', async () => {
    const world = new FakeWorld();
    const held = await world.client().locks.mutex('m').acquire();
    const subscription = world.client().locks.mutex('m').hold$().subscribe();
    await world.clock.settle();
    expect(world.store.keys()).toHaveLength(2);
    subscription.unsubscribe();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([held.key]);
  });

  it('leaves nothing when unsubscribed at any moment around the grant', async () => {
    for (let turns = 0; turns < 20; turns += 1) {
      const world = new FakeWorld();
      const subscription = world.client().locks.mutex('m').hold$().subscribe();
      for (let turn = 0; turn < turns * 2; turn += 1) await Promise.resolve();
      subscription.unsubscribe();
      await world.clock.advance(2_000);
      expect(world.store.keys()).toEqual([]);
    }
  });

  it('errors on loss and completes on a release', async () => {
    const world = new FakeWorld();
    const told: unknown[] = [];
    const hold = (): void =>
      void world
        .client()
        .locks.mutex('m')
        .hold$()
        .subscribe({
          next: (handle) => told.push(handle),
          error: (error: unknown) => told.push(error),
          complete: () => told.push('complete'),
        });
    hold();
    await world.clock.settle();
    world.store.deleteKey((told[0] as LockHandle).key);
    await world.clock.advance(100);
    expect(told[1]).toBeInstanceOf(LockLostError);
    told.length = 0;
    hold();
    await world.clock.settle();
    await (told[0] as LockHandle).release();
    expect(told[1]).toBe('complete');
  });
});
