import { compare, op } from '@conclave/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { etcdctl } from './etcdctl.js';
import { Fixture } from './fixture.js';
import { hasEtcdctl, targets } from './targets.js';

describe.each(targets)('keys and values on %s', (kind) => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await Fixture.start(kind);
  });
  afterAll(() => fixture.end());

  it('puts, gets, ranges and deletes under the key prefix', async () => {
    const { kv } = fixture.client({ keyPrefix: 'apps/a/' });
    const bare = fixture.client().kv;
    const first = await kv.put('k/1', 'one');
    const second = await kv.put('k/2', Buffer.from([0, 255, 1]), { prevKv: true });
    expect(second).toEqual({ revision: first.revision + 1n, previous: null });
    const entry = await kv.get('k/1');
    expect(entry).toMatchObject({
      key: 'k/1',
      text: 'one',
      createRevision: first.revision,
      version: 1n,
      lease: 0n,
    });
    expect((await bare.get('apps/a/k/2'))?.value).toEqual(Buffer.from([0, 255, 1]));
    const range = await kv.range('k/', { prefix: true, limit: 1, sort: { by: 'key', order: 'descend' } });
    expect(range).toMatchObject({ more: true, count: 2n, revision: second.revision });
    expect(range.entries.map((found) => found.key)).toEqual(['k/2']);
    expect((await kv.range('k/1', { rangeEnd: 'k/2' })).entries.map((found) => found.key)).toEqual(['k/1']);
    expect((await kv.range('', { prefix: true, countOnly: true })).count).toBe(2n);
    const deleted = await kv.delete('k/', { prefix: true, prevKv: true });
    expect(deleted).toMatchObject({ deleted: 2n, revision: second.revision + 1n });
    expect(deleted.previous.map((found) => found.text)[0]).toBe('one');
    expect(await kv.get('k/1')).toBeNull();
    expect((await kv.get('k/1', { revision: first.revision }))?.text).toBe('one');
  });

  it('does either branch of a transaction, whole, at one revision', async () => {
    const { kv } = fixture.client();
    const create = () =>
      kv.txn().if(compare.missing('t')).do(op.put('t', '1'), op.put('u', '1')).else(op.get('t'));
    const done = await create().commit();
    expect(done.succeeded).toBe(true);
    expect((await kv.get('t'))?.modRevision).toBe(done.revision);
    expect((await kv.get('u'))?.modRevision).toBe(done.revision);
    const again = await create().commit();
    expect(again).toMatchObject({ succeeded: false, revision: done.revision });
    expect(again.results[0]).toMatchObject({ kind: 'range', entries: [{ text: '1' }] });
    const nested = await kv
      .txn()
      .if(
        compare.value('t').equals('1'),
        compare.version('u').lessThan(2n),
        compare.modRevision('t').greaterThan(1n),
      )
      .do(
        op.txn(
          kv
            .txn()
            .if(compare.lease('t').equals(0n))
            .do(op.delete('t', { prevKv: true })),
        ),
      )
      .commit();
    expect(nested.results[0]).toMatchObject({
      kind: 'txn',
      succeeded: true,
      results: [{ kind: 'delete', deleted: 1n }],
    });
    expect((await kv.txn().if(compare.value('absent').equals('')).commit()).succeeded).toBe(false);
  });

  it('names errors by code', async () => {
    const { kv } = fixture.client();
    await kv.put('c', '1');
    const { revision } = await kv.put('c', '2');
    await kv.compact(revision);
    await expect(kv.get('c', { revision: revision - 1n })).rejects.toMatchObject({
      code: 'compacted',
      retryable: false,
    });
    await expect(kv.get('c', { revision: revision + 1_000n })).rejects.toMatchObject({
      code: 'future-revision',
    });
    await expect(kv.put('c', '3', { lease: 12345n })).rejects.toMatchObject({ code: 'lease-not-found' });
    await expect(kv.put('absent', '3', { keepLease: true })).rejects.toMatchObject({ reason: 'KeyNotFound' });
    await expect(kv.put('', 'x')).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(kv.put('big', Buffer.alloc(1_800_000))).rejects.toMatchObject({ reason: 'RequestTooLarge' });
  });

  it.runIf(hasEtcdctl)('P34 keeps all 64 bits of lease ids and revisions', async () => {
    const client = fixture.client();
    const id = 9_007_199_254_740_993n;
    etcdctl(fixture.address, 'put', 'before', 'x');
    const granted = await client.store.leaseGrant({ ID: id, TTL: 60n });
    expect(granted.ID).toBe(id);
    await client.kv.put('leased', 'x', { lease: id });
    expect((await client.kv.get('leased'))?.lease).toBe(id);
    expect(await client.leases.list()).toContain(id);
    expect(await client.leases.timeToLive(id, { keys: true })).toMatchObject({
      id,
      grantedSeconds: 60n,
      keys: ['leased'],
    });
    expect(etcdctl(fixture.address, 'lease', 'list')).toContain(id.toString(16));
    await client.leases.revoke(id);
    expect(await client.kv.get('leased')).toBeNull();
    expect(await client.leases.timeToLive(id)).toMatchObject({ remainingSeconds: -1n });
  });

  it('reports the connection, and reads over a restart of the member', async () => {
    const client = fixture.client();
    await client.kv.put('r', '1');
    const kinds: string[] = [];
    client.connection$.subscribe((state) => kinds.push(state.kind));
    await fixture.member.stop('SIGKILL');
    const read = client.kv.get('r', { timeoutMs: 30_000 });
    await fixture.member.start();
    expect((await read)?.text).toBe('1');
    expect(kinds).toEqual(['connected', 'suspended', 'connected']);
    await client.close();
    expect(kinds.at(-1)).toBe('closed');
    await expect(client.kv.get('r')).rejects.toMatchObject({ code: 'closed' });
  });
});
