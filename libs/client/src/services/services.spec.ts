import { BehaviorSubject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type StoreClient } from '../client.js';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';
import { type Registration } from './registration.js';

/** The lists that a watcher of a service sees, as ids. */
function listsOf(client: StoreClient, service: string, options: { all?: boolean } = {}): string[][] {
  const lists: string[][] = [];
  client.services
    .instances$(service, options)
    .subscribe((instances) => lists.push(instances.map((instance) => instance.id)));
  return lists;
}

function statesOf(registration: Registration): string[] {
  const states: string[] = [];
  registration.state$.subscribe({
    next: (state) => states.push(state.kind === 'lost' ? state.reason : state.kind),
    complete: () => states.push('over'),
  });
  return states;
}

describe('services', () => {
  it('lists instances sorted by id, with what they say of themselves, and tells every change', async () => {
    const world = new FakeWorld();
    const [a, b] = [world.client('p/'), world.client('p/')];
    const lists = listsOf(a, 'api/v1');
    await world.clock.settle();
    const second = await b.services.register('api/v1', {
      id: 'b/2',
      address: 'http://b',
      metadata: { zone: 'z' },
    });
    const first = await a.services.register('api/v1', { id: 'a', address: 'http://a' });
    await a.services.register('api', { id: 'of another service', address: 'x' });
    await world.clock.settle();
    let newest: unknown;
    a.services.instances$('api/v1').subscribe((instances) => (newest = instances));
    await world.clock.settle();
    expect(newest).toEqual([
      { service: 'api/v1', id: 'a', address: 'http://a', metadata: {}, healthy: true },
      { service: 'api/v1', id: 'b/2', address: 'http://b', metadata: { zone: 'z' }, healthy: true },
    ]);
    await first.update({ address: 'http://a:2' });
    await second.deregister();
    await world.clock.settle();
    expect(newest).toMatchObject([{ id: 'a', address: 'http://a:2' }]);
    expect(lists).toEqual([[], ['b/2'], ['a', 'b/2'], ['a', 'b/2'], ['a']]);
    expect(world.store.keys().filter((key) => key.startsWith('p/services/api%2Fv1/'))).toHaveLength(1);
  });

  it('shows the healthy ones only, unless all are asked for, and writes nothing for the same health', async () => {
    const world = new FakeWorld();
    const healthy = new BehaviorSubject(false);
    const client = world.client();
    const lists = listsOf(client, 's');
    const all = listsOf(client, 's', { all: true });
    await client.services.register('s', { id: 'a', address: 'x', healthy$: healthy });
    await world.clock.settle();
    healthy.next(true);
    await world.clock.settle();
    healthy.next(false);
    await world.clock.settle();
    expect(lists).toEqual([[], ['a'], []]);
    expect(all).toEqual([[], ['a'], ['a'], ['a']]);
    const { revision } = world.store;
    healthy.next(false);
    await world.clock.settle();
    expect(world.store.revision).toBe(revision);
  });

  it('registers itself again when its lease or its key is lost', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const registration = await client.services.register('s', { id: 'a', address: 'x', ttl: '9s' });
    const states = statesOf(registration);
    const [lease] = world.store.liveLeases;
    world.store.expireLease(lease ?? 0n);
    await world.clock.advance(3_100);
    world.store.deleteKey('services/s/a');
    await world.clock.advance(1_100);
    await registration.update({ address: 'y' });
    expect(states).toEqual(['registered', 'key-deleted', 'registered', 'key-deleted', 'registered']);
    expect((await client.kv.get('services/s/a'))?.json()).toMatchObject({ address: 'y' });
    expect(world.store.liveLeases).toHaveLength(1);
  });

  it('goes when its process is cut off for longer than the TTL, and comes back with what changed meanwhile', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const registration = await client.services.register('s', { id: 'a', address: 'x', ttl: '9s' });
    const states = statesOf(registration);
    world.store.partition();
    await world.clock.advance(20_000);
    expect(world.store.keys()).toEqual([]);
    await registration.update({ address: 'y' });
    world.store.heal();
    await world.clock.advance(6_000);
    expect(states).toEqual(['registered', 'lease-expired-local', 'registered']);
    expect((await client.kv.get('services/s/a'))?.json()).toMatchObject({ address: 'y' });
  });

  it('writes what changed while it was being registered', async () => {
    const world = new FakeWorld();
    const healthy = new BehaviorSubject(false);
    const client = world.client();
    const arrive = world.store.delayRequest('put');
    const registering = client.services.register('s', { id: 'a', address: 'x', healthy$: healthy });
    await world.clock.settle();
    healthy.next(true);
    await world.clock.settle();
    arrive();
    await registering;
    expect((await client.kv.get('services/s/a'))?.json()).toMatchObject({ healthy: true });
  });

  it('is replaced by a later registration of the same id, and leaves that one alone', async () => {
    const world = new FakeWorld();
    const former = await world.client().services.register('s', { id: 'a', address: 'former' });
    const states = statesOf(former);
    const client = world.client();
    await client.services.register('s', { id: 'a', address: 'later' });
    await world.clock.advance(30_000);
    expect(states).toEqual(['registered', 'revoked', 'over']);
    await former.deregister();
    expect((await client.kv.get('services/s/a'))?.json()).toMatchObject({ address: 'later' });
    await expect(former.update({ address: 'z' })).rejects.toMatchObject({ code: 'closed' });
  });

  it('is not taken for lost by a compaction', async () => {
    const world = new FakeWorld();
    const registration = await world.client().services.register('s', { id: 'a', address: 'x' });
    const states = statesOf(registration);
    await world.clock.settle();
    world.store.partition();
    for (let i = 0; i < 3; i += 1) world.store.putKey('other', String(i));
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(2_000);
    expect(states).toEqual(['registered']);
  });

  it('goes with the client, and with its block', async () => {
    const world = new FakeWorld();
    const client = world.client();
    await client.services.register('s', { address: 'x' });
    {
      await using registration = await client.services.register('s', { address: 'y' });
      expect(registration.id).toMatch(/^host:1:/);
      expect(world.store.keys()).toHaveLength(1); // The random numbers of the fake are all the same: it was replaced.
    }
    await client.services.register('s', { id: 'z', address: 'x' });
    await client.close();
    expect(world.store.keys()).toEqual([]);
    expect(world.store.liveLeases).toEqual([]);
  });

  it('rejects when the first registration fails, and leaves nothing', async () => {
    const world = new FakeWorld();
    const client = world.client();
    world.store.dropAnswers('put');
    const registering = outcomeOf(client.services.register('s', { id: 'a', address: 'x' }));
    await world.clock.settle();
    expect(registering.error).toMatchObject({ code: 'maybe-applied' });
    expect(world.store.keys()).toEqual([]);
    await expect(client.services.register('', { address: 'x' })).rejects.toMatchObject({
      code: 'invalid-argument',
    });
  });

  it('overlooks keys that are no instances', async () => {
    const world = new FakeWorld();
    world.store.putKey('services/s/x', 'no instance');
    world.store.putKey('services/s/y', '{"v":2,"address":"later format"}');
    const lists = listsOf(world.client(), 's');
    await world.clock.settle();
    expect(lists).toEqual([[]]);
  });
});
