import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../testing/fake-client.js';
import { outcomeOf } from '../testing/outcome.js';

describe('resuming a leadership', () => {
  const led = async (world: FakeWorld) => {
    const client = world.client();
    const session = await client.locks.session({ ttl: '9s', margin: '1s' });
    return client.elections.election('e', { session }).campaign({ value: 'first life' });
  };

  it('P22 a restarted process with the same identity is not the leader, unless it resumes the same lease', async () => {
    const world = new FakeWorld();
    const former = await led(world);
    // The process is gone without a word; its lease lives. Another life of it, with the same name, is another candidate.
    const second = world.client().elections.election('e', { value: 'first life' });
    const campaign = outcomeOf(second.campaign());
    await world.clock.settle();
    expect(campaign.settled).toBe(false);
    expect((await second.leader())?.term).toBe(former.term);
    const resumed = await second.resume(
      JSON.parse(text(former.record()), revive) as ReturnType<typeof former.record>,
    );
    expect(resumed).toMatchObject({ term: former.term, key: former.key, leaseId: former.leaseId });
    expect(resumed.isHeld()).toBe(true);
    expect(campaign.settled).toBe(false);
  });

  it('keeps the lease alive from then on, and gives leadership and lease back when it resigns', async () => {
    const world = new FakeWorld();
    const former = await led(world);
    const record = former.record();
    const resumed = await world.client().elections.election('e').resume(record);
    await world.clock.advance(60_000);
    expect(resumed.isHeld()).toBe(true);
    await resumed.proclaim('second life');
    expect((await world.client().elections.election('e').leader())?.text).toBe('second life');
    await resumed.resign();
    await world.clock.settle();
    expect(world.store.keys()).toEqual([]);
    expect(world.store.liveLeases).not.toContain(record.leaseId);
  });

  it('refuses a leadership that is over, by its lease or by its key, and touches no lease then', async () => {
    const world = new FakeWorld();
    const former = await led(world);
    const record = former.record();
    const election = world.client().elections.election('e');
    const renewals = (): number => world.store.liveLeases.length;
    await expect(election.resume({ ...record, token: record.token + 1n })).rejects.toMatchObject({
      code: 'leadership-lost',
    });
    await former.resign();
    const before = renewals();
    await expect(election.resume(record)).rejects.toMatchObject({ code: 'leadership-lost' });
    expect(renewals()).toBe(before);
    world.store.expireLease(record.leaseId);
    await expect(election.resume(record)).rejects.toMatchObject({ code: 'leadership-lost' });
    const other = world.client().elections.election('other');
    await expect(other.resume(record)).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('gives the lease back when the key goes while it is resumed', async () => {
    const world = new FakeWorld();
    const former = await led(world);
    const answer = world.store.holdAnswer('range');
    const resuming = outcomeOf(world.client().elections.election('e').resume(former.record()));
    await world.clock.settle();
    world.store.deleteKey(former.key);
    answer();
    await world.clock.settle();
    expect(resuming.error).toMatchObject({ code: 'leadership-lost' });
    expect(world.store.liveLeases).toEqual([]);
  });

  it('records nothing that is bound to the shared session of the client', async () => {
    const leadership = await new FakeWorld().client().elections.election('e').campaign();
    expect(() => leadership.record()).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

const text = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v));
const revive = (_: string, v: unknown): unknown =>
  typeof v === 'string' && /^\d+n$/.test(v) ? BigInt(v.slice(0, -1)) : v;

describe('resigning', () => {
  const queueOf = async (world: FakeWorld, names: readonly string[]) => {
    const campaigns = [];
    for (const value of names) {
      campaigns.push(outcomeOf(world.client().elections.election('e').campaign({ value })));
      await world.clock.settle();
    }
    return campaigns;
  };

  it('in favour of a candidate lets those between stand back once', async () => {
    const world = new FakeWorld();
    const [first, , , heir] = await queueOf(world, ['a', 'b', 'c', 'heir']);
    await first?.value?.resign({ to: 'heir' });
    await world.clock.advance(1_000);
    expect(heir?.value?.isHeld()).toBe(true);
    const candidates = await world.client().elections.election('e').candidates();
    expect(candidates.map((info) => info.text)).toEqual(['heir', 'b', 'c']);
    await heir?.value?.resign();
    await world.clock.advance(1_000);
    expect((await world.client().elections.election('e').leader())?.text).toBe('b');
  });

  it('in favour of one who leaves, or of nobody known, gives it to the next one', async () => {
    const world = new FakeWorld();
    const [first, second] = await queueOf(world, ['a', 'b', 'heir']);
    const heirKey = (await world.client().elections.election('e').candidates())[2]?.key ?? '';
    const resigned = first?.value?.resign({ to: heirKey });
    world.store.expireLease(BigInt(`0x${heirKey.split('/').at(-1)}`));
    await resigned;
    await world.clock.advance(1_000);
    expect(second?.value?.isHeld()).toBe(true);
    await second?.value?.resign({ to: 'nobody' });
    await world.clock.advance(1_000);
    expect(world.store.keys().filter((key) => !key.startsWith('elections/e/'))).toEqual([]);
  });

  it('P19 waits for work until its limit, is idempotent, and asks the store once', async () => {
    const world = new FakeWorld();
    const leadership = await world.client().elections.election('e').campaign();
    leadership.waitUntil(new Promise(() => undefined));
    const resigned = outcomeOf(leadership.resign({ drain: '2s' }));
    void leadership.resign({ drain: '1s' });
    await world.clock.advance(1_999);
    expect(resigned.settled).toBe(false);
    await world.clock.advance(1);
    expect(resigned.settled).toBe(true);
    expect(await leadership.done).toBe('closed');
    expect(world.store.keys()).toEqual([]);
    await expect(leadership.resign({ drain: -1 })).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('P19 ends the drain with the leadership: a loss is told at once', async () => {
    const world = new FakeWorld();
    const leadership = await world.client().elections.election('e').campaign();
    leadership.waitUntil(new Promise(() => undefined));
    const resigned = outcomeOf(leadership.resign());
    await world.clock.settle();
    world.store.deleteKey(leadership.key);
    await world.clock.settle();
    expect(resigned.settled).toBe(true);
    expect(await leadership.done).toBe('key-deleted');
  });

  it('closing the client lets the work of a leader end, and bounds it', async () => {
    const world = new FakeWorld();
    const client = world.client();
    const leadership = await client.elections.election('e').campaign();
    let end = (): void => undefined;
    leadership.waitUntil(new Promise<void>((resolve) => (end = resolve)));
    const closed = outcomeOf(client.close());
    await world.clock.advance(1_000);
    expect(leadership.isHeld()).toBe(true);
    expect(closed.settled).toBe(false);
    end();
    await world.clock.settle();
    expect(closed.settled).toBe(true);
    expect(await leadership.done).toBe('resigned');
  });
});
