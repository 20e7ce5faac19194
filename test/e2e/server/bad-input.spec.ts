import { etcdserverpb } from '@conclave/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RpcClient } from '../../compat/rpc-client.js';
import { MemberProcess } from '../../members/member-process.js';

const pb = etcdserverpb;
const raw = {
  encode: (bytes: Uint8Array) => ({ finish: () => bytes }),
  decode: (bytes: Uint8Array) => bytes,
};
const key = Buffer.from('k');
const smallest = -(2n ** 63n);
const largest = 2n ** 63n - 1n;

describe('a member that is sent what no good client sends', () => {
  let member: MemberProcess;
  let client: RpcClient;
  let bystander: RpcClient;
  let pid: number;

  beforeAll(async () => {
    member = await MemberProcess.create('conclave');
    await member.start();
    client = new RpcClient(member.address);
    bystander = new RpcClient(member.address);
    pid = member.pid;
  });

  afterAll(async () => {
    client?.close();
    bystander?.close();
    await member?.remove();
  });

  afterEach(async () => {
    const put = pb.PutRequest.encode(pb.PutRequest.fromPartial({ key: Buffer.from('bystander') })).finish();
    const outcome = await bystander.call('/etcdserverpb.KV/Put', put, raw, raw);
    expect('ok' in outcome).toBe(true);
    expect(member.pid).toBe(pid);
  });

  async function send(path: string, bytes: Uint8Array): Promise<string> {
    const outcome = await client.call(`/${path}`, bytes, raw, raw);
    return 'ok' in outcome ? 'ok' : `${outcome.code}: ${outcome.message}`;
  }

  it.each([
    ['a length behind the end', [0x0a, 0x7f, 0x61]],
    ['a length of 4 GiB', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a varint without an end', [0x18, ...Array.from({ length: 11 }, () => 0xff)]],
    ['a wire type that does not exist', [0x0f, 0x01]],
    ['a cut varint', [0x18, 0x80]],
    ['noise', Array.from({ length: 300 }, (_, at) => (at * 151 + 7) & 0xff)],
  ])('refuses %s in every request', async (_name, bytes) => {
    const paths = ['KV/Range', 'KV/Put', 'KV/DeleteRange', 'KV/Txn', 'KV/Compact', 'Lease/LeaseGrant'];
    for (const path of paths) {
      expect(await send(`etcdserverpb.${path}`, Buffer.from(bytes)), path).toMatch(/^(3|13): ./);
    }
  });

  it('ignores fields that it does not know', async () => {
    const put = pb.PutRequest.encode(pb.PutRequest.fromPartial({ key })).finish();
    const unknown = Buffer.concat([put, Buffer.from([0xc2, 0x3e, 0x03, 0x61, 0x62, 0x63])]);
    expect(await send('etcdserverpb.KV/Put', unknown)).toBe('ok');
  });

  it('answers unknown enums', async () => {
    const compare = pb.Compare.fromPartial({ key, result: 99 as never, target: 99 as never });
    const txn = pb.TxnRequest.encode(pb.TxnRequest.fromPartial({ compare: [compare] })).finish();
    expect(await send('etcdserverpb.KV/Txn', txn)).toMatch(/^(ok|3: etcdserver)/);
    const alarm = pb.AlarmRequest.encode({ action: 99 as never, memberID: 0n, alarm: 99 as never }).finish();
    expect(await send('etcdserverpb.Maintenance/Alarm', alarm)).toMatch(/^(ok|\d+: .)/);
  });

  it('answers negative and huge numbers', async () => {
    const range = (request: Partial<etcdserverpb.RangeRequest>): Promise<string> =>
      send('etcdserverpb.KV/Range', pb.RangeRequest.encode(pb.RangeRequest.fromPartial(request)).finish());
    for (const limit of [-1n, smallest, largest]) expect(await range({ key, limit })).toBe('ok');
    for (const revision of [-1n, smallest]) expect(await range({ key, revision })).toBe('ok');
    expect(await range({ key, revision: largest })).toMatch(/^11: .*future revision/);
    for (const bound of [smallest, largest]) {
      expect(await range({ key, min_mod_revision: bound, max_create_revision: bound })).toBe('ok');
    }
    const compact = (revision: bigint): Promise<string> =>
      send('etcdserverpb.KV/Compact', pb.CompactionRequest.encode({ revision, physical: false }).finish());
    expect(await compact(largest)).toMatch(/^11: .*future revision/);
    const grant = (TTL: bigint, ID: bigint): Promise<string> =>
      send('etcdserverpb.Lease/LeaseGrant', pb.LeaseGrantRequest.encode({ TTL, ID }).finish());
    expect(await grant(largest, 1n)).toMatch(/^11: .*too large lease TTL/);
    expect(await grant(smallest, -1n)).toBe('ok');
    expect(await grant(60n, smallest)).toBe('ok');
  });

  it('refuses requests that are too large, at once', async () => {
    const put = (size: number): Uint8Array =>
      pb.PutRequest.encode(pb.PutRequest.fromPartial({ key, value: Buffer.alloc(size) })).finish();
    expect(await send('etcdserverpb.KV/Put', put(1_700_000))).toBe('3: etcdserver: request is too large');
    for (const size of [3_000_000, 50_000_000]) {
      expect(await send('etcdserverpb.KV/Put', put(size))).toMatch(/^8: .*larger than/);
    }
  });

  it.each([10, 100, 1_000, 5_000])('answers transactions that are nested %d times', async (levels) => {
    expect(await send('etcdserverpb.KV/Txn', nested(levels))).toMatch(/^(ok|(3|13): .)/);
  });

  it('refuses unknown services and methods', async () => {
    for (const path of [
      'nothing/Nothing',
      'etcdserverpb.KV/Nothing',
      'etcdserverpb.KV',
      `x/${'y'.repeat(4_000)}`,
    ]) {
      expect(await send(path, Buffer.alloc(0)), path).toMatch(/^12: ./);
    }
  });

  it('ends a watch stream that talks nonsense, and no other', async () => {
    const good = bystander.watch();
    const created = new Promise((resolve) => good.once('data', resolve));
    const value = pb.WatchCreateRequest.fromPartial({ key: Buffer.from('still watched') });
    good.write({ request_union: { $case: 'create_request', value } });
    await created;
    expect(await send('etcdserverpb.Watch/Watch', Buffer.from([0x0a, 0x7f]))).toMatch(/^(3|13): ./);
    const event = new Promise<etcdserverpb.WatchResponse>((resolve) => good.once('data', resolve));
    const put = pb.PutRequest.encode(pb.PutRequest.fromPartial({ key: value.key })).finish();
    expect(await send('etcdserverpb.KV/Put', put)).toBe('ok');
    expect((await event).events).toHaveLength(1);
    good.on('error', () => undefined);
    good.cancel();
  });

  it('has not kept what it was sent', async () => {
    const metrics = await (await fetch(`${member.url}/metrics`)).text();
    const resident = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1]);
    expect(resident).toBeGreaterThan(0);
    expect(resident).toBeLessThan(1 << 30);
  });
});

/** A transaction inside of a transaction, as often as told, encoded from the inside out. */
function nested(levels: number): Uint8Array {
  let parts: Buffer[] = [];
  let length = 0;
  for (let level = 0; level < levels; level++) {
    // TxnRequest.success (2) holds a RequestOp whose request_txn (4) holds the TxnRequest.
    const inner = Buffer.concat([Buffer.from([0x22]), varint(length)]);
    length += inner.length;
    const outer = Buffer.concat([Buffer.from([0x12]), varint(length)]);
    length += outer.length;
    parts = [...parts, inner, outer];
  }
  return Buffer.concat(parts.reverse());
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
