import { config, map, Subject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { UnauthorizedError } from '../errors.js';
import { FakeWorld } from '../testing/fake-client.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { SharedStates } from './shared-states.js';

afterEach(() => {
  config.onUnhandledError = null;
});

/** Resolves with what RxJS reports on behalf of subscribers, in turns of their own, when so many errors have come. */
function unhandled(count: number): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  return new Promise((resolve) => {
    config.onUnhandledError = (error) => {
      errors.push(error);
      if (errors.length === count) resolve(errors);
    };
  });
}

describe('shared states', () => {
  it('P33 what one subscriber throws reaches neither the others nor the watch', async () => {
    const thrown = unhandled(3);
    const world = new FakeWorld();
    const { watch } = world.client();
    const seen: string[] = [];
    const failed: unknown[] = [];
    watch.state('s/').subscribe(() => {
      throw new Error('of the first subscriber');
    });
    watch
      .state('s/')
      .pipe(
        map((view) => {
          if (view.entries.size === 1) throw new Error('of an operator');
          return view;
        }),
      )
      .subscribe({ error: (error: unknown) => failed.push(error) });
    watch.state('s/').subscribe((view) => seen.push([...view.entries.keys()].join()));
    await world.clock.settle();
    world.store.putKey('s/a', '1');
    await world.clock.settle();
    world.store.putKey('s/b', '1');
    await world.clock.settle();
    expect(seen).toEqual(['', 's/a', 's/a,s/b']);
    expect(failed).toEqual([new Error('of an operator')]);
    expect(await thrown).toEqual(Array(3).fill(new Error('of the first subscriber')));
    expect(world.store.watchers).toHaveLength(1);
  });

  it('P33 neither leaks nor flaps: the watch outlives the last subscriber by keepWarm, and no longer', async () => {
    const world = new FakeWorld();
    const { watch } = world.client();
    const state$ = watch.state('s/', { keepWarm: '2s', resyncEvery: 0 });
    for (let round = 0; round < 5; round += 1) {
      const subscription = state$.subscribe();
      await world.clock.settle();
      subscription.unsubscribe();
      await world.clock.advance(1_500);
    }
    expect(world.store.calls.filter((method) => method === 'range')).toHaveLength(1);
    expect(world.store.watchers).toHaveLength(1);
    await world.clock.advance(500);
    expect(world.store.watchers).toEqual([]);
    expect(world.clock.timers).toBe(0);
  });

  it('P33 emits outside of the call in which the store delivers', async () => {
    const world = new FakeWorld();
    let isDelivering = false;
    const inside: boolean[] = [];
    const { watch } = world.store;
    world.store.watch = (observer) =>
      watch.call(world.store, {
        next: (response) => {
          isDelivering = true;
          observer.next(response);
          isDelivering = false;
        },
        error: (error) => observer.error(error),
      });
    world
      .client()
      .watch.events('k')
      .subscribe(() => inside.push(isDelivering));
    await world.clock.settle();
    world.store.putKey('k', '1');
    world.store.putKey('k', '2');
    await world.clock.settle();
    expect(inside).toEqual([false, false]);
  });

  it('shares by prefix and options, begins nothing before a subscription, and begins anew after an error', () => {
    const clock = new VirtualClock();
    const states = new SharedStates(clock);
    const sources: Subject<number>[] = [];
    const shared = (prefix: string, options: object) => {
      const source = new Subject<number>();
      sources.push(source);
      return states.share(prefix, options, 1_000, source);
    };
    const codec = {};
    const [a, same, other] = [shared('p', { codec }), shared('p', { codec }), shared('p', { codec: {} })];
    expect(sources.map((source) => source.observed)).toEqual([false, false, false]);
    const errors: unknown[] = [];
    for (const state$ of [a, same, other])
      state$.subscribe({ error: (error: unknown) => errors.push(error) });
    expect(sources.map((source) => source.observed)).toEqual([true, false, true]);
    sources[0]?.error(new UnauthorizedError('no permission'));
    expect(errors).toHaveLength(2);
    const again = shared('p', { codec });
    again.subscribe();
    expect(sources[3]?.observed).toBe(true);
  });
});
