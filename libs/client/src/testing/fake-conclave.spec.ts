import { describe, expect, it } from 'vitest';
import { type RevisionBatch } from '../watch/revision-batch.js';
import { fakeConclave } from './fake-conclave.js';
import { outcomeOf } from './outcome.js';

describe('fakeConclave', () => {
  it('ends leases by its own clock, and not before', async () => {
    const conclave = fakeConclave();
    const client = conclave.client();
    const id = await client.leases.grantOnce('10s');
    await client.kv.put('a', '1', { lease: id });
    await conclave.advance('9900ms');
    expect(await client.kv.get('a')).not.toBeNull();
    await conclave.advance('100ms');
    expect(await client.kv.get('a')).toBeNull();
  });

  it('both directions cut: nothing is done, and callers know it', async () => {
    const conclave = fakeConclave();
    const [cut, after] = [conclave.client(), conclave.client()];
    conclave.partition();
    const put = outcomeOf(cut.kv.put('a', '1'));
    await conclave.advance('5s');
    expect(put.error?.code).toBe('timeout');
    conclave.heal();
    expect(await after.kv.get('a')).toBeNull();
  });

  it('requests cut: events arrive, keep-alives do not, and the outcome of writes is unknown', async () => {
    const conclave = fakeConclave();
    const client = conclave.client();
    const seen: RevisionBatch[] = [];
    client.watch.events('a').subscribe((batch) => seen.push(batch));
    const lease = await client.leases.grant({ ttl: '10s' });
    await conclave.settle();
    conclave.partition('requests');
    const put = outcomeOf(client.kv.put('b', '1'));
    await conclave.advance('5s');
    expect(put.error?.code).toBe('maybe-applied');
    await conclave.advance('4s');
    expect(lease.isAlive()).toBe(false);
    conclave.heal();
    await conclave.settle();
    expect(await client.kv.get('b')).toBeNull();
    await client.kv.put('a', '1');
    await conclave.advance('1s');
    expect(seen.map(({ revision }) => revision)).toEqual([2n]);
  });

  it('answers cut: writes are done, their outcome is unknown, and no event arrives until it heals', async () => {
    const conclave = fakeConclave();
    const client = conclave.client();
    const seen: bigint[] = [];
    client.watch.events('a').subscribe(({ revision }) => seen.push(revision));
    await conclave.settle();
    conclave.partition('answers');
    const put = outcomeOf(client.kv.put('a', '1'));
    await conclave.advance('5s');
    expect([put.error?.code, seen]).toEqual(['maybe-applied', []]);
    conclave.heal();
    await conclave.advance('5s');
    expect((await client.kv.get('a'))?.value.toString()).toBe('1');
    expect(seen).toEqual([2n]);
  });

  it('a new leader gives every lease its whole time again, and watches go on', async () => {
    const conclave = fakeConclave();
    const client = conclave.client();
    const seen: string[] = [];
    client.watch
      .events('k', { prefix: true })
      .subscribe(({ changes }) => seen.push(...changes.map(({ key }) => key)));
    const id = await client.leases.grantOnce('10s');
    await client.kv.put('k/1', '', { lease: id });
    await conclave.advance('9s');
    conclave.moveLeader();
    await conclave.advance('9s');
    await client.kv.put('k/2', '');
    await conclave.settle();
    expect(await client.kv.get('k/1')).not.toBeNull();
    await conclave.advance('1s');
    expect(await client.kv.get('k/1')).toBeNull();
    expect(seen).toEqual(['k/1', 'k/2', 'k/1']);
  });

  it('another store has nothing, and locks of the former one are lost', async () => {
    const conclave = fakeConclave();
    const client = conclave.client();
    const handle = await client.locks.mutex('m').acquire();
    conclave.replaceStore();
    await conclave.settle();
    expect(handle.signal.reason).toMatchObject({ lossReason: 'store-replaced' });
    expect((await client.kv.range('', { prefix: true })).count).toBe(0n);
  });

  it('tells what is compacted, and which lease is none', async () => {
    const conclave = fakeConclave();
    const client = conclave.client();
    await client.kv.put('a', '1');
    await client.kv.put('a', '2');
    conclave.compact();
    await expect(client.kv.get('a', { revision: 2n })).rejects.toMatchObject({ code: 'compacted' });
    expect(() => conclave.compact(99n)).toThrow('future revision');
    await expect(conclave.expireLease(1n)).rejects.toMatchObject({ code: 'lease-not-found' });
  });

  it('a stall of the event loop ends a lock before any timer has fired', async () => {
    const conclave = fakeConclave();
    const handle = await conclave.client().locks.mutex('m', { ttl: '10s' }).acquire();
    conclave.stallEventLoop('20s');
    expect(handle.signal.aborted).toBe(false);
    expect(handle.isHeld()).toBe(false);
  });
});
