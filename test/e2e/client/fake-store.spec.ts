import {
  compare,
  type ConclaveClient,
  op,
  type Operation,
  type RevisionBatch,
  type StoreClient,
} from '@conclave/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
async function step(client: Pick<ConclaveClient, 'kv'>, below: (n: number) => number): Promise<unknown> {
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
  // Two stores are two clusters; all else is the same.
  const { clusterId: _cluster, ...answer } = await txn.commit();
  return answer;
}

/** The batches of a watch, and a wait for the one that ends it. */
function recorded(client: StoreClient | ConclaveClient) {
  const batches: RevisionBatch[] = [];
  const ended = new Promise<void>((resolve) => {
    client.watch.events('b', { prefix: true, prevKv: true, fromRevision: 2n }).subscribe((batch) => {
      batches.push(batch);
      if (batch.changes.some((change) => change.key === 'b/end')) resolve();
    });
  });
  return { batches, ended };
}

describe.each(targets)('the in-memory store answers as %s does', (kind) => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.start(kind);
  });
  afterEach(() => fixture.end());

  it.each([1, 2, 3])('to random transactions and watches, seed %i', async (seed) => {
    const real = fixture.client();
    const fake = new FakeWorld().client();
    const expected = recorded(real);
    const actual = recorded(fake);
    for (let i = 0; i < 150; i += 1) {
      const wanted = await step(real, chance(seed * 1_000 + i));
      expect(await step(fake, chance(seed * 1_000 + i)), `step ${i}`).toEqual(wanted);
    }
    await Promise.all([real.kv.put('b/end', ''), fake.kv.put('b/end', '')]);
    await Promise.all([expected.ended, actual.ended]);
    expect(actual.batches.length).toBeGreaterThan(10);
    expect(actual.batches).toEqual(expected.batches);
  });
});
