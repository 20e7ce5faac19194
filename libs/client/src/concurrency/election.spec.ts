import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';

describe('election', () => {
  it('elects in the order of candidacy and tells observers every change, also that nobody leads', async () => {
    const world = new FakeWorld();
    const [a, b, observer] = [world.client(), world.client(), world.client()];
    const seen: (string | null)[] = [];
    observer.elections
      .election('e')
      .observe()
      .subscribe((leader) => seen.push(leader?.text ?? null));
    await world.clock.settle();
    const first = await a.elections.election('e').campaign({ value: 'a' });
    const campaign = b.elections.election('e').campaign({ value: 'b' });
    await world.clock.settle();
    expect((await observer.elections.election('e').candidates()).map((info) => info.text)).toEqual([
      'a',
      'b',
    ]);
    await first.proclaim('a2');
    await world.clock.settle();
    await first.resign();
    const second = await campaign;
    await second.resign();
    await world.clock.settle();
    expect(seen).toEqual([null, 'a', 'a2', 'b', null]);
    expect(second.term).toBeGreaterThan(first.term);
  });

  it('reads the leader, or null', async () => {
    const world = new FakeWorld();
    const election = world.client('p/').elections.election('e', { value: 'v' });
    expect(await election.leader()).toBeNull();
    const leadership = await election.campaign();
    expect(await election.leader()).toMatchObject({
      text: 'v',
      term: leadership.term,
      leaseId: leadership.leaseId,
    });
    expect(leadership.key).toBe(`p/elections/e/${leadership.leaseId.toString(16)}`);
  });

  it('resigns once, however often it is asked, and tells it by `done`', async () => {
    const world = new FakeWorld();
    const leadership = await world.client().elections.election('e').campaign();
    await Promise.all([leadership.resign(), leadership.resign()]);
    await leadership.resign();
    expect(await leadership.done).toBe('resigned');
    expect(leadership.signal.aborted).toBe(false);
    expect(world.store.keys()).toEqual([]);
    await expect(leadership.proclaim('x')).rejects.toMatchObject({ code: 'not-held' });
  });

  it('ends by loss with the reason, and cannot be resigned into an election afterwards', async () => {
    const world = new FakeWorld();
    const leadership = await world.client().elections.election('e', { ttl: '3s' }).campaign();
    world.store.partition();
    await world.clock.advance(3_000);
    expect(await leadership.done).toBe('lease-expired-local');
    expect(leadership.signal.reason).toMatchObject({ code: 'leadership-lost' });
    await leadership.resign();
    expect(await leadership.done).toBe('lease-expired-local');
  });

  it('fences off a proclamation of a leader that was replaced', async () => {
    const world = new FakeWorld();
    const first = await world.client().elections.election('e').campaign({ value: 'a' });
    world.store.partition();
    world.store.deleteKey(first.key);
    world.store.heal();
    await expect(first.proclaim('late')).rejects.toMatchObject({ code: 'fenced-off' });
    expect(world.store.keys()).toEqual([]);
  });

  it('P11 leads, with its own value, after the answer to the campaign was lost', async () => {
    const world = new FakeWorld();
    world.store.dropAnswers('txn', 1);
    const campaign = world.client().elections.election('e').campaign({ value: 'a' });
    await world.clock.advance(500);
    const leadership = await campaign;
    expect((await world.client().elections.election('e').leader())?.term).toBe(leadership.term);
  });

  it('P15 a campaign that is aborted never leads: its key is gone and the next one is elected', async () => {
    const world = new FakeWorld();
    const first = await world.client().elections.election('e').campaign();
    const stop = new AbortController();
    const second = world.client().elections.election('e').campaign({ signal: stop.signal });
    const third = world.client().elections.election('e').campaign({ value: 'third' });
    await world.clock.settle();
    stop.abort();
    await expect(second).rejects.toMatchObject({ name: 'AbortError' });
    await first.resign();
    await third;
    expect((await world.client().elections.election('e').candidates()).map((info) => info.text)).toEqual([
      'third',
    ]);
  });

  it('observes over a compaction, a lost stream and a replaced store', async () => {
    const world = new FakeWorld();
    const client = world.client();
    await client.elections.election('e').campaign({ value: 'a' });
    const seen: (string | null)[] = [];
    client.elections
      .election('e')
      .observe()
      .subscribe((leader) => seen.push(leader?.text ?? null));
    await world.clock.settle();
    world.store.partition();
    const [key] = world.store.keys();
    world.store.deleteKey(key ?? '');
    world.store.putKey('elections/e/1', 'b');
    world.store.compactTo(world.store.revision);
    world.store.heal();
    await world.clock.advance(1_000);
    expect(seen).toEqual(['a', 'b']);
    world.store.replaceStore();
    await world.clock.advance(1_000);
    expect(seen).toEqual(['a', 'b', null]);
  });

  it('P14 queues campaigns of one process, so that each leads in its turn', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const first = await client.elections.election('e').campaign({ value: '1' });
    const campaign = client.elections.election('e').campaign({ value: '2' });
    await world.clock.settle();
    expect((await client.elections.election('e').leader())?.text).toBe('1');
    await first.resign();
    expect((await campaign).term).toBeGreaterThan(first.term);
    expect((await client.elections.election('e').leader())?.text).toBe('2');
  });
});
