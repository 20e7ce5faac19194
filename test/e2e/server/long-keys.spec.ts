import { etcdserverpb } from '@conclave/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Outcome, RpcClient } from '../../compat/rpc-client.js';
import { MemberProcess } from '../../members/member-process.js';

const pb = etcdserverpb;
/** The store's index ends at less than 2,000 bytes; etcd's keys end only with the request. */
const lengths = [1_899, 1_900, 1_901, 1_978, 1_979, 4_096, 65_536, 1_400_000];
const names = lengths.flatMap((length) => ['x', 'y'].map((end) => 'a'.repeat(length - 1) + end));
const sorted = [...names].sort();

describe('keys that are longer than the store can index', () => {
  let member: MemberProcess;
  let client: RpcClient;

  beforeAll(async () => {
    member = await MemberProcess.create('conclave');
    await member.start();
    client = new RpcClient(member.address);
  });

  afterAll(async () => {
    client?.close();
    await member?.remove();
  });

  async function put(name: string, value: string): Promise<bigint> {
    const request = pb.PutRequest.fromPartial({ key: Buffer.from(name), value: Buffer.from(value) });
    const outcome = await client.call('/etcdserverpb.KV/Put', request, pb.PutRequest, pb.PutResponse);
    return good(outcome).header!.revision;
  }

  async function range(request: Partial<etcdserverpb.RangeRequest>): Promise<etcdserverpb.RangeResponse> {
    const full = pb.RangeRequest.fromPartial(request);
    return good(await client.call('/etcdserverpb.KV/Range', full, pb.RangeRequest, pb.RangeResponse));
  }

  it('are put and read, one by one and as a range in order', async () => {
    for (const name of names) await put(name, `first ${name.length}`);
    for (const name of names) {
      const { kvs } = await range({ key: Buffer.from(name) });
      expect(kvs.map((kv) => kv.value.toString())).toEqual([`first ${name.length}`]);
    }
    await expectAll(sorted);
    const some = await range({ key: Buffer.from('a'), range_end: Buffer.from('b'), limit: 3n });
    expect(some.kvs.map((kv) => kv.key.length)).toEqual(sorted.slice(0, 3).map((name) => name.length));
    expect({ more: some.more, count: some.count }).toEqual({ more: true, count: BigInt(names.length) });
    expect((await range({ key: Buffer.from('a'.repeat(1_950)) })).kvs).toEqual([]);
  });

  it('are watched, now and from the past', async () => {
    const name = names.at(-1)!;
    const revision = await put(name, 'second');
    const stream = client.watch();
    stream.on('error', () => undefined);
    const events: string[] = [];
    const all = new Promise<void>((resolve) => {
      stream.on('data', (response: etcdserverpb.WatchResponse) => {
        for (const { kv } of response.events) events.push(`${kv!.key.length} ${kv!.value.toString()}`);
        if (events.length === 2) resolve();
      });
    });
    const value = pb.WatchCreateRequest.fromPartial({ key: Buffer.from(name), start_revision: revision });
    stream.write({ request_union: { $case: 'create_request', value } });
    await put(names.at(-2)!, 'not watched');
    await put(name, 'third');
    await all;
    stream.cancel();
    expect(events).toEqual([`${name.length} second`, `${name.length} third`]);
    const past = await range({ key: Buffer.from(name), revision });
    expect(past.kvs[0].value.toString()).toBe('second');
  });

  it('are there after a restart, and go when they are deleted', async () => {
    await member.stop('SIGKILL');
    await member.start();
    await expectAll(sorted);
    const gone = names[5];
    const request = pb.DeleteRangeRequest.fromPartial({ key: Buffer.from(gone), prev_kv: true });
    const path = '/etcdserverpb.KV/DeleteRange';
    const answer = good(await client.call(path, request, pb.DeleteRangeRequest, pb.DeleteRangeResponse));
    expect(answer.prev_kvs.map((kv) => kv.key.length)).toEqual([gone.length]);
    await expectAll(sorted.filter((name) => name !== gone));
    await member.stop('SIGTERM');
    await member.start();
    await expectAll(sorted.filter((name) => name !== gone));
  });

  async function expectAll(expected: readonly string[]): Promise<void> {
    const { kvs } = await range({ key: Buffer.from('a'), range_end: Buffer.from('b'), keys_only: true });
    const found = kvs.map((kv) => kv.key.toString());
    // Compared by themselves, shown by their lengths.
    expect(found.map((name) => name.length)).toEqual(expected.map((name) => name.length));
    expect(found.every((name, at) => name === expected[at])).toBe(true);
  }
});

function good<T>(outcome: Outcome<T>): T {
  if (!('ok' in outcome)) throw new Error(`${outcome.code}: ${outcome.message}`);
  return outcome.ok;
}
