import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, type KvStore, op, type Operation, type RevisionBatch, StoreClient } from '@conclave/client';
import { FakeWorld } from '../../../libs/client/src/testing/fake-client.js';
import { Fixture } from './fixture.js';
import { targets } from './targets.js';

/** A small generator of chance with a seed (mulberry32), so that a failure can be repeated. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const keys = ['a', 'b', 'b/1', 'b/2', 'c'];

function randomOperation(below: (n: number) => number): Operation {
  const key = keys[below(keys.length)] ?? 'a';
  switch (below(5)) {
    case 0:
      return op.put(key, String(below(3)), { prevKv: below(2) === 0 });
    case 1:
      return op.delete(key, { prefix: below(2) === 0, prevKv: true });
    case 2:
      return op.range('', {
        prefix: true,
        limit: below(3),
        sort: { by: 'mod', order: below(2) ? 'ascend' : 'descend' },
      });
    case 3:
      return op.range(key, { prefix: true, countOnly: below(2) === 0, maxCreateRevision: BigInt(below(30)) });
    default:
      return op.get(key);
  }
}

/** One transaction of the given store; gives what it answers, without what names the cluster. */
async function step(client: Pick<StoreClient, 'kv'>, below: (n: number) => number): Promise<unknown> {
  const key = keys[below(keys.length)] ?? 'a';
  const condition = [
    compare.missing(key, { prefix: true }),
    compare.exists(key),
    compare.value(key).equals(String(below(3))),
    compare.modRevision(key).lessThan(BigInt(below(40))),
    compare.version(key).notEquals(1n),
  ][below(5)];
  // Two writes of one key in one branch are refused; one operation per branch, and one inner transaction, are enough.
  const inner = client.kv
    .txn()
    .if(compare.exists(key))
    .do(randomOperation(below))
    .else(randomOperation(below));
  const txn = client.kv
    .txn()
    .do(below(4) === 0 ? op.txn(inner) : randomOperation(below))
    .else(randomOperation(below));
  if (condition !== undefined) txn.if(condition);
  return txn.commit();
}

describe.each(targets)('the in-memory store answers as %s does', (kind) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.start(kind);
  });
  afterAll(() => fixture.end());

  it.each([1, 2, 3])('to random transactions and watches, seed %i', async (seed) => {
    const real = fixture.client();
    await real.kv.delete('', { prefix: true });
    const { revision } = await real.kv.put('start', String(seed));
    const world = new FakeWorld();
    while (world.store.revision < revision - 1n) world.store.putKey('filler', '');
    world.store.deleteKey('filler');
    while (world.store.revision < revision - 1n) world.store.putKey('filler', '');
    const client = await alignedClient(world, revision, String(seed));
    const watches = [real, client].map((each) => {
      const batches: RevisionBatch[] = [];
      each.watch
        .events('b', { prefix: true, prevKv: true, fromRevision: revision })
        .subscribe((batch) => batches.push(batch));
      return batches;
    });
    for (let i = 0; i < 150; i += 1) {
      const [expected, actual] = await Promise.all([
        step(real, chance(seed * 1_000 + i)),
        step(client, chance(seed * 1_000 + i)),
      ]);
      expect(actual, `step ${i}`).toEqual(expected);
    }
    const last = await real.kv.put('b', 'last');
    await client.kv.put('b', 'last');
    await new Promise<void>((resolve) => {
      real.watch.events('b', { fromRevision: last.revision, trackKeys: false }).subscribe(() => resolve());
    });
    await world.clock.settle();
    expect(watches[1]?.length).toBeGreaterThan(10);
    expect(watches[0]?.slice(0, watches[1]?.length)).toEqual(watches[1]);
  });
});

/** A client of a store in memory that stands at the same revision with the same content. */
async function alignedClient(world: FakeWorld, revision: bigint, value: string): Promise<StoreClient> {
  const client = world.client();
  const store: KvStore = client.store;
  expect(store).toBe(world.store);
  const { entries } = await client.kv.range('filler', { prefix: true });
  if (entries.length > 0) await client.kv.txn().do(op.delete('filler'), op.put('start', value)).commit();
  else await client.kv.put('start', value);
  expect(world.store.revision).toBe(revision);
  return client;
}
