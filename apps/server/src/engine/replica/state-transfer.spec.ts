import { etcdserverpb } from '@conclave/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { TestCluster } from './testing/test-cluster.js';
import type { Call, TestMember, TestStream } from './testing/test-member.js';

const { WatchRequest, WatchResponse, MemberAddRequest, MemberAddResponse } = etcdserverpb;
const { MemberRemoveRequest, MemberRemoveResponse } = etcdserverpb;

/** More entries than a member keeps for others that lag. */
const manyEntries = 6_500;

describe('a member that lags behind the log', () => {
  let cluster: TestCluster;
  let lagging: TestMember;

  beforeEach(async () => {
    cluster = await TestCluster.found(3);
    [lagging] = cluster.followers;
  });

  async function putMany(): Promise<void> {
    const calls: Call<unknown>[] = [];
    for (let n = 0; n < manyEntries; n++) {
      calls.push(cluster.put(cluster.leader, `k${n % 100}`, `${n}`));
      if (n % 500 === 499) await cluster.run(20);
    }
    await cluster.until(() => calls.every(({ isDone }) => isDone));
    expect(calls.filter(({ error }) => error !== undefined)).toEqual([]);
    await cluster.run(4_000);
  }

  function watch(member: TestMember): TestStream<etcdserverpb.WatchResponse> {
    const stream = member.open('Watch/Watch', WatchResponse);
    const create = { key: Buffer.from('k'), range_end: Buffer.from('l') };
    const request = WatchRequest.fromPartial({ request_union: { $case: 'create_request', value: create } });
    stream.requests.message(WatchRequest.encode(request).finish());
    return stream;
  }

  it('gets the state, and its watches miss and repeat nothing', async () => {
    const stream = watch(lagging);
    cluster.network.isolate(lagging.id);
    await putMany();
    cluster.network.rejoin(lagging.id);
    await cluster.until(() => lagging.engine!.state.leader() === cluster.leader.id);
    expect(await cluster.read(lagging, 'k99')).toBe(`6499@65`);
    await cluster.answered(cluster.put(lagging, 'k0', 'last'));
    await cluster.run(2_000);
    const revisions = stream.answers.flatMap(({ events }) => events.map(({ kv }) => kv!.mod_revision));
    expect(stream.ended).toBeUndefined();
    expect(revisions).toHaveLength(manyEntries + 1);
    expect(revisions.every((revision, at) => at === 0 || revision === revisions[at - 1] + 1n)).toBe(true);
  });

  it('goes on from the state after a crash, whenever that comes', async () => {
    cluster.network.isolate(lagging.id);
    await putMany();
    cluster.network.rejoin(lagging.id);
    let crashes = 0;
    for (const afterMs of [1, 3, 7, 20, 40]) {
      await cluster.run(afterMs);
      lagging.kill();
      await cluster.restart(lagging);
      crashes++;
    }
    expect(crashes).toBe(5);
    expect(await cluster.read(lagging, 'k99')).toBe(`6499@65`);
    lagging.kill();
    await cluster.restart(lagging);
    expect(await cluster.read(lagging, 'k98')).toBe(`6498@65`);
  });

  it('is sent the state again when that was lost', async () => {
    cluster.network.isolate(lagging.id);
    await putMany();
    let attempts = 0;
    for (const member of cluster.members.values()) {
      const { transport } = member;
      const send = transport!.sendState.bind(transport);
      transport!.sendState = (...state) => {
        attempts++;
        return attempts === 1 ? Promise.reject(new Error('the connection broke')) : send(...state);
      };
    }
    cluster.network.rejoin(lagging.id);
    await cluster.until(() => attempts >= 2);
    expect(await cluster.read(lagging, 'k99')).toBe(`6499@65`);
  });

  it('is told who the members were at the state, though they change twice while it is copied', async () => {
    cluster.network.isolate(lagging.id);
    await putMany();
    const { leader } = cluster;
    const copies = leader.holdCopies();
    const sent: { index: number; learners: readonly bigint[] }[] = [];
    const { transport } = leader;
    const send = transport!.sendState.bind(transport);
    transport!.sendState = (to, term, state) => {
      sent.push({ index: state.index, learners: state.confState.learners });
      return send(to, term, state);
    };
    cluster.network.rejoin(lagging.id);
    await cluster.until(() => copies.isCopied);
    // Changes are refused until it counts as connected.
    await cluster.run(6_000);
    const request = MemberAddRequest.fromPartial({ peerURLs: ['http://10.0.0.9:2380'], isLearner: true });
    const added = leader.call('Cluster/MemberAdd', MemberAddRequest, request, MemberAddResponse);
    const { answer, error } = await cluster.answered(added);
    expect(error).toBeUndefined();
    await leader.flush();
    const { ID } = answer!.member!;
    const removed = leader.call('Cluster/MemberRemove', MemberRemoveRequest, { ID }, MemberRemoveResponse);
    expect((await cluster.answered(removed)).error).toBeUndefined();
    copies.release();
    await cluster.until(() => lagging.engine!.state.leader() === leader.id && sent.length > 0);
    expect(await cluster.read(lagging, 'k99')).toBe(`6499@65`);
    expect(sent.map(({ learners }) => learners)).toEqual([[]]);
  });

  it('keeps entries for short absences: nothing is sent but entries', async () => {
    cluster.network.isolate(lagging.id);
    for (let n = 0; n < 100; n++) await cluster.answered(cluster.put(cluster.leader, `k${n}`));
    await cluster.run(4_000);
    const leader = cluster.leader.transport!;
    let states = 0;
    leader.sendState = () => Promise.reject(new Error(`state ${++states}`));
    cluster.network.rejoin(lagging.id);
    expect(await cluster.read(lagging, 'k99')).toBe('v@1');
    expect(states).toBe(0);
  });
});

describe('a restarted member', () => {
  it('has its configuration from the store, and all acknowledged writes', async () => {
    const cluster = await TestCluster.found(3);
    for (let n = 0; n < 20; n++) {
      expect((await cluster.answered(cluster.put(cluster.leader, `k${n}`))).error).toBeUndefined();
    }
    const members = [...cluster.members.values()];
    for (const member of members) member.kill();
    for (const member of members) await cluster.restart(member);
    await cluster.untilLeader();
    for (const member of members) expect(await cluster.read(member, 'k19')).toBe('v@1');
  });
});
