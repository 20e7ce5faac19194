import { once } from 'node:events';
import type { Etcd3, IKeyValue } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemberProcess } from '../../members/member-process.js';

/** What Node teams use today: the same program must go on working when only its endpoint changes. */
describe('the npm package etcd3', () => {
  let member: MemberProcess;
  let client: Etcd3;

  beforeAll(async () => {
    member = await MemberProcess.create('conclave');
    await member.start();
    // Under the test runner its protobuf library does not find the package that carries 64-bit numbers, and would
    // silently round ids; a global is the other place where it looks.
    Object.assign(globalThis, { Long: (await import('long')).default });
    client = new (await import('etcd3')).Etcd3({ hosts: member.url });
  });

  afterAll(async () => {
    client?.close();
    await member?.remove();
  });

  it('puts, gets, ranges and deletes', async () => {
    await client.put('kv/a').value('1');
    expect((await client.put('kv/a').value('2').getPrevious())?.value.toString()).toBe('1');
    await client.put('kv/b').value(3);
    expect(await client.get('kv/a').string()).toBe('2');
    expect(await client.get('kv/b').number()).toBe(3);
    expect(await client.get('kv/absent')).toBeNull();
    expect(await client.getAll().prefix('kv/').strings()).toEqual({ 'kv/a': '2', 'kv/b': '3' });
    expect(await client.getAll().prefix('kv/').sort('Key', 'Descend').limit(1).keys()).toEqual(['kv/b']);
    expect(await client.getAll().prefix('kv/').count()).toBe(2);
    expect((await client.delete().prefix('kv/')).deleted).toBe('2');
    expect(await client.getAll().prefix('kv/').count()).toBe(0);
  });

  it('does either branch of a transaction', async () => {
    const create = () =>
      client
        .if('txn/a', 'Create', '==', 0)
        .then(client.put('txn/a').value('made'))
        .else(client.get('txn/a'))
        .commit();
    expect((await create()).succeeded).toBe(true);
    const again = await create();
    expect(again.succeeded).toBe(false);
    expect(again.responses[0].response_range.kvs[0].value.toString()).toBe('made');
  });

  it('watches a prefix, with previous values, and from a past revision', async () => {
    const watcher = await client.watch().prefix('w/').withPreviousKV().create();
    const put = once(watcher, 'put') as Promise<[IKeyValue, IKeyValue | undefined]>;
    await client.put('w/a').value('1');
    const [first] = await put;
    expect(first).toMatchObject({ key: Buffer.from('w/a'), value: Buffer.from('1') });
    const deleted = once(watcher, 'delete') as Promise<[IKeyValue, IKeyValue | undefined]>;
    await client.delete().key('w/a');
    const [, previous] = await deleted;
    expect(previous?.value.toString()).toBe('1');
    await watcher.cancel();

    const late = client.watch().key('w/a').startRevision(first.mod_revision).watcher();
    const seen: string[] = [];
    late.on('put', (kv) => void seen.push(`put ${kv.mod_revision}`));
    const ended = once(late, 'delete');
    await ended;
    expect(seen).toEqual([`put ${first.mod_revision}`]);
    await late.cancel();
  });

  it('keeps keys under a lease until it is revoked', async () => {
    const lease = client.lease(10);
    await lease.put('leased/a').value('1');
    const id = await lease.grant();
    expect((await client.get('leased/a').exec()).kvs[0].lease).toBe(id);
    expect((await lease.keepaliveOnce()).TTL).toBe('10');
    await lease.revoke();
    expect(await client.get('leased/a')).toBeNull();
  });

  it('tells the owner of a lease that it is lost', async () => {
    const lease = client.lease(2);
    const lost = once(lease, 'lost');
    const ID = await lease.grant();
    await client.leaseClient.leaseRevoke({ ID });
    await lost;
    expect(lease.revoked()).toBe(true);
  });

  it('locks: a second one fails while the first is held', async () => {
    const lock = client.lock('mutex').ttl(10);
    await lock.acquire();
    await expect(client.lock('mutex').ttl(10).acquire()).rejects.toThrow('Failed to acquire a lock on mutex');
    await lock.release();
    const result = await client.lock('mutex').do(() => 'held');
    expect(result).toBe('held');
  });

  it('elects, and elects the next one when the leader resigns', async () => {
    const election = client.election('office', 10);
    const first = election.campaign('one');
    await once(first, 'elected');
    const observer = await election.observe();
    expect(observer.leader() ?? (await nextLeader())).toBe('one');
    const second = client.election('office', 10).campaign('two');
    const isElected = once(second, 'elected');
    await first.resign();
    await isElected;
    while (observer.leader() !== 'two') await nextLeader();
    await second.resign();
    await observer.cancel();

    async function nextLeader(): Promise<string | undefined> {
      const [leader] = (await once(observer, 'change')) as [string | undefined];
      return leader;
    }
  });
});
