import { etcdserverpb } from '@conclave/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, MemberProcess } from '../members/member-process.js';
import { RpcClient } from './rpc-client.js';

const pb = etcdserverpb;
const compactedAt = 40n;
const { NOSPACE, CORRUPT, NONE } = pb.AlarmType;
const { GET, ACTIVATE, DEACTIVATE } = pb.AlarmRequest_AlarmAction;

describe.skipIf(!hasProgram('etcd'))('Maintenance equals etcd', () => {
  let members: MemberProcess[] = [];
  let clients: RpcClient[] = [];

  beforeAll(async () => {
    members = [await MemberProcess.create('etcd'), await MemberProcess.create('conclave')];
    await Promise.all(members.map((member) => member.start()));
    clients = members.map(({ address }) => new RpcClient(address));
    await Promise.all(clients.map(writeHistory));
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(members.map((member) => member.remove()));
  });

  /** Asks both the same and expects the same answer; gives it. */
  async function same(ask: (client: RpcClient) => Promise<unknown>): Promise<unknown> {
    const [expected, answer] = await Promise.all(clients.map(ask));
    expect(answer).toEqual(expected);
    return answer;
  }

  it('hashes every revision of a history alike, also after a compaction', async () => {
    const seen = new Set<unknown>();
    for (let revision = 0n; revision <= 62n; revision++) seen.add(await same((to) => hashKv(to, revision)));
    expect(seen.size).toBeGreaterThan(60);
    await same((to) => hashKv(to, -1n));
    await Promise.all(clients.map((client) => compact(client)));
    for (let revision = compactedAt + 1n; revision <= 62n; revision++) {
      await same((to) => hashKv(to, revision));
    }
    expect(await same((to) => hashKv(to, 5n))).toContain('has been compacted');
    expect(await same((to) => hashKv(to, 1_000n))).toContain('future revision');
  });

  it('answers a hash at exactly the compacted revision, as etcd does since 3.5', async () => {
    expect(await hashKv(clients[0], compactedAt)).toContain('has been compacted');
    expect(await hashKv(clients[1], compactedAt)).toMatchObject({ compact_revision: compactedAt });
  });

  it('answers Defragment alike', async () => {
    const defragment = (to: RpcClient): Promise<unknown> =>
      to.call('/etcdserverpb.Maintenance/Defragment', {}, pb.DefragmentRequest, pb.DefragmentResponse);
    await same(defragment);
  });

  it('raises, lists and disarms alarms alike, and refuses the same meanwhile', async () => {
    const steps = [
      { action: GET, memberID: 0n, alarm: NONE },
      { action: ACTIVATE, memberID: 7n, alarm: NOSPACE },
      { action: ACTIVATE, memberID: 7n, alarm: NOSPACE },
      { action: ACTIVATE, memberID: 8n, alarm: NOSPACE },
      { action: GET, memberID: 0n, alarm: NONE },
      { action: GET, memberID: 0n, alarm: CORRUPT },
      { action: ACTIVATE, memberID: 8n, alarm: CORRUPT },
      { action: GET, memberID: 0n, alarm: CORRUPT },
      { action: DEACTIVATE, memberID: 9n, alarm: NOSPACE },
      { action: DEACTIVATE, memberID: 8n, alarm: CORRUPT },
      { action: DEACTIVATE, memberID: 8n, alarm: NOSPACE },
      { action: DEACTIVATE, memberID: 7n, alarm: NOSPACE },
      { action: GET, memberID: 0n, alarm: NONE },
    ];
    const refusals = new Set<unknown>();
    for (const step of steps) {
      await same(async (to) => {
        const answer = await to.call(
          '/etcdserverpb.Maintenance/Alarm',
          step,
          pb.AlarmRequest,
          pb.AlarmResponse,
        );
        // etcd tells them in the random order of a map.
        return 'ok' in answer ? answer.ok.alarms.sort(byMember) : answer;
      });
      // 3.4 forgets the one alarm when it is told of the other.
      const told = await Promise.all(clients.map((to) => put(to, 'absent', 404n)));
      if (step.action !== DEACTIVATE) expect(told[1]).toEqual(told[0]);
      refusals.add(told[1]);
    }
    expect(refusals.size).toBe(3);
  });
});

function byMember(a: etcdserverpb.AlarmMember, b: etcdserverpb.AlarmMember): number {
  return a.memberID === b.memberID ? a.alarm - b.alarm : Number(a.memberID - b.memberID);
}

/** Revisions 2 to 62: puts of a few keys, deletes, transactions. */
async function writeHistory(client: RpcClient): Promise<void> {
  for (let n = 2; n <= 62; n++) {
    const key = `k${n % 5}`;
    if (n % 7 === 0) {
      const request = pb.DeleteRangeRequest.fromPartial({
        key: Buffer.from('k'),
        range_end: Buffer.from('l'),
      });
      await client.call(
        '/etcdserverpb.KV/DeleteRange',
        request,
        pb.DeleteRangeRequest,
        pb.DeleteRangeResponse,
      );
    } else if (n % 7 === 3) {
      const puts = [key, 'other', 'third'].map((name) => ({
        request: { $case: 'request_put' as const, value: putRequest(name, 0n) },
      }));
      const request = pb.TxnRequest.fromPartial({ success: puts });
      await client.call('/etcdserverpb.KV/Txn', request, pb.TxnRequest, pb.TxnResponse);
    } else {
      await put(client, key, 0n);
    }
  }
}

function putRequest(key: string, lease: bigint): etcdserverpb.PutRequest {
  return pb.PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from(`value of ${key}`), lease });
}

async function put(client: RpcClient, key: string, lease: bigint): Promise<string> {
  const outcome = await client.call(
    '/etcdserverpb.KV/Put',
    putRequest(key, lease),
    pb.PutRequest,
    pb.PutResponse,
  );
  return 'ok' in outcome ? 'ok' : outcome.message;
}

async function compact(client: RpcClient): Promise<void> {
  const request = { revision: compactedAt, physical: true };
  await client.call('/etcdserverpb.KV/Compact', request, pb.CompactionRequest, pb.CompactionResponse);
}

/** The answer without what differs between members, and without the field that 3.4 does not have. */
async function hashKv(client: RpcClient, revision: bigint): Promise<unknown> {
  const path = '/etcdserverpb.Maintenance/HashKV';
  const outcome = await client.call(path, { revision }, pb.HashKVRequest, pb.HashKVResponse);
  if (!('ok' in outcome)) return outcome.message;
  const { hash, compact_revision, header } = outcome.ok;
  return { hash, compact_revision, revision: header?.revision };
}
