import { createHash } from 'node:crypto';
import { etcdserverpb } from '@conclave/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeSeal, sealBytes } from '../snapshot/state-seal.js';
import { TestCluster } from '../replica/testing/test-cluster.js';
import type { TestMember, TestStream } from '../replica/testing/test-member.js';

const pb = etcdserverpb;
type HashKV = etcdserverpb.HashKVResponse;
type Snapshot = etcdserverpb.SnapshotResponse;

let cluster: TestCluster;
let member: TestMember;

beforeEach(async () => {
  cluster = await TestCluster.found(3);
  member = cluster.leader;
});

async function put(key: string, value: string, lease = 0n): Promise<void> {
  expect((await cluster.answered(cluster.put(member, key, value, lease))).error).toBeUndefined();
}

async function hashKv(of: TestMember, revision = 0n): Promise<HashKV | string> {
  const call = of.call('Maintenance/HashKV', pb.HashKVRequest, { revision }, pb.HashKVResponse);
  await cluster.answered(call);
  return call.error ?? call.answer!;
}

async function hash(of: TestMember): Promise<number> {
  const call = of.call('Maintenance/Hash', pb.HashRequest, {}, pb.HashResponse);
  return (await cluster.answered(call)).answer!.hash;
}

async function compact(revision: bigint): Promise<void> {
  const request = { revision, physical: true };
  const call = member.call('KV/Compact', pb.CompactionRequest, request, pb.CompactionResponse);
  expect((await cluster.answered(call)).error).toBeUndefined();
}

describe('HashKV', () => {
  it('is the same on all members, at every revision, and differs between revisions', async () => {
    for (let n = 0; n < 20; n++) await put(`k${n % 7}`, `value ${n}`);
    await cluster.run(1_000);
    const seen = new Set<number>();
    for (let revision = 1n; revision <= 21n; revision++) {
      const told = [];
      for (const each of cluster.members.values()) told.push(await hashKv(each, revision));
      const [first, ...others] = told.map((answer) => ({ ...(answer as HashKV), header: undefined }));
      for (const other of others) expect(other).toEqual(first);
      expect(first.hash_revision).toBe(revision);
      seen.add(first.hash);
    }
    expect(seen.size).toBe(21);
  });

  it('tells revision, compaction and the current revision', async () => {
    for (let n = 0; n < 5; n++) await put('k', `${n}`);
    await compact(4n);
    const answer = (await hashKv(member, 5n)) as HashKV;
    expect(answer).toMatchObject({ compact_revision: 4n, hash_revision: 5n, header: { revision: 6n } });
    expect(await hashKv(member, 3n)).toBe('Compacted');
    expect(await hashKv(member, 7n)).toBe('FutureRev');
    expect(await hashKv(member, -1n)).toMatchObject({ hash: 1_084_519_789, hash_revision: -1n });
  });

  it('covers a history that takes many slices, at the revision at which it began', async () => {
    const value = 'v'.repeat(100_000);
    for (let n = 0; n < 30; n++) await put(`k${n}`, value);
    const before = (await hashKv(member)) as HashKV;
    const call = member.call('Maintenance/HashKV', pb.HashKVRequest, { revision: 0n }, pb.HashKVResponse);
    expect(call.isDone).toBe(false);
    await put('k0', 'changed meanwhile');
    await cluster.answered(call);
    expect(call.answer!.hash).toBe(before.hash);
    expect(((await hashKv(member)) as HashKV).hash).not.toBe(before.hash);
  });
});

describe('Hash', () => {
  it('is the same on members that applied the same, and changes with keys, leases and what hangs on them', async () => {
    const seen = new Set([await hash(member)]);
    await put('k', 'v');
    seen.add(await hash(member));
    const grant = member.call(
      'Lease/LeaseGrant',
      pb.LeaseGrantRequest,
      { ID: 7n, TTL: 500n },
      pb.LeaseGrantResponse,
    );
    await cluster.answered(grant);
    seen.add(await hash(member));
    await put('k', 'v', 7n);
    seen.add(await hash(member));
    expect(seen.size).toBe(4);
    await cluster.run(1_000);
    for (const follower of cluster.followers) expect(seen).toContain(await hash(follower));
  });
});

describe('Defragment', () => {
  it('answers when compacted history is gone, without a header', async () => {
    for (let n = 0; n < 50; n++) await put('k', `${n}`);
    const request = { revision: 51n, physical: false };
    member.call('KV/Compact', pb.CompactionRequest, request, pb.CompactionResponse);
    const call = member.call('Maintenance/Defragment', pb.DefragmentRequest, {}, pb.DefragmentResponse);
    await cluster.answered(call);
    expect(call.error).toBeUndefined();
    expect(call.answer!.header).toBeUndefined();
  });
});

describe('Snapshot', () => {
  async function take(of: TestMember): Promise<TestStream<Snapshot>> {
    const stream = of.open('Maintenance/Snapshot', pb.SnapshotResponse);
    stream.requests.message(new Uint8Array(0));
    await cluster.until(() => stream.ended !== undefined);
    return stream;
  }

  it('streams a state file with everything that was applied, padded, and its hash', async () => {
    for (let n = 0; n < 100; n++) await put(`k${n}`, 'x'.repeat(1_000));
    const { answers, ended } = await take(member);
    expect(ended).toBe('');
    const last = answers.at(-1)!;
    const data = Buffer.concat(answers.slice(0, -1).map(({ blob }) => blob));
    expect(data.length % 512).toBe(0);
    expect(Buffer.from(last.blob)).toEqual(createHash('sha256').update(data).digest());
    let left = BigInt(data.length);
    for (const { blob, remaining_bytes } of answers.slice(0, -1)) {
      left -= BigInt(blob.length);
      expect(blob.length).toBeLessThanOrEqual(32 * 1024);
      expect(remaining_bytes).toBe(left);
    }
    expect(left).toBe(0n);
    expect(last.remaining_bytes).toBe(0n);
    const file = stateFile(data);
    const { mark } = decodeSeal(file.subarray(-sealBytes), 'snapshot', file.length);
    expect(file.includes('k99')).toBe(true);
    expect(mark.index).toBeGreaterThan(100);
  });

  it('serves only a few at once, and leaves nothing behind', async () => {
    await put('k', 'v');
    const streams = Array.from({ length: 6 }, () => member.open('Maintenance/Snapshot', pb.SnapshotResponse));
    for (const { requests } of streams) requests.message(new Uint8Array(0));
    streams[0].requests.cancel();
    await cluster.until(() => streams.slice(1).every(({ ended }) => ended !== undefined));
    expect(streams.map(({ ended }) => ended)).toEqual([
      undefined,
      '',
      '',
      '',
      'RequestTooManyRequests',
      'RequestTooManyRequests',
    ]);
    expect((await take(member)).ended).toBe('');
  });
});

/** The state file in a snapshot: what is left without the zero bytes behind its seal. */
function stateFile(data: Buffer): Buffer {
  for (let end = data.length; end > data.length - 512; end--) {
    if (data.toString('latin1', end - sealBytes, end - sealBytes + 4) === 'CSTF')
      return data.subarray(0, end);
  }
  throw new Error('there is no seal');
}
