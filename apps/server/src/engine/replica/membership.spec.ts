import { etcdserverpb } from '@conclave/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemberRemovedError } from './roster.js';
import { TestCluster } from './testing/test-cluster.js';
import type { Call, TestMember } from './testing/test-member.js';
import { lost } from './testing/test-network.js';

const {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  StatusRequest,
  StatusResponse,
} = etcdserverpb;

const url = 'http://10.0.0.9:2380';

function add(member: TestMember, peerURL: string, isLearner = false): Call<etcdserverpb.MemberAddResponse> {
  return member.call(
    'Cluster/MemberAdd',
    MemberAddRequest,
    { peerURLs: [peerURL], isLearner },
    MemberAddResponse,
  );
}

function remove(member: TestMember, ID: bigint): Call<etcdserverpb.MemberRemoveResponse> {
  return member.call('Cluster/MemberRemove', MemberRemoveRequest, { ID }, MemberRemoveResponse);
}

function promote(member: TestMember, ID: bigint): Call<etcdserverpb.MemberPromoteResponse> {
  return member.call('Cluster/MemberPromote', MemberPromoteRequest, { ID }, MemberPromoteResponse);
}

function list(member: TestMember, linearizable = false): Call<etcdserverpb.MemberListResponse> {
  return member.call('Cluster/MemberList', MemberListRequest, { linearizable }, MemberListResponse);
}

describe('membership', () => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.found(3);
  });

  async function errorOf(call: Call<unknown>): Promise<string | undefined> {
    return (await cluster.answered(call)).error;
  }

  /** Adds a member through the API, starts it and waits until it has the leader's state. */
  async function join(peerURL: string, isLearner: boolean): Promise<TestMember> {
    const { answer, error } = await cluster.answered(add(cluster.followers[0], peerURL, isLearner));
    expect(error).toBeUndefined();
    const member = cluster.add(answer!.member!.ID, peerURL);
    await cluster.restart(member);
    let isReady = false;
    void member.engine!.ready.then(() => (isReady = true));
    await cluster.until(() => isReady);
    return member;
  }

  it('lists the founders alike on each member, with what they published', async () => {
    for (const member of cluster.members.values()) {
      const { answer } = await cluster.answered(list(member, true));
      expect(answer!.members.map(({ ID, name, clientURLs }) => [ID, name, clientURLs])).toEqual(
        [1n, 2n, 3n].map((id) => [id, `m${id}`, [`http://client-${id}`]]),
      );
      expect(member.transport!.peers.size).toBe(2);
    }
  });

  it('brings a learner up to date by the state, promotes it when it is in sync, and counts its vote', async () => {
    for (let n = 0; n < 50; n++) await cluster.answered(cluster.put(cluster.leader, `k${n}`));
    const learner = await join(url, true);
    expect(learner.engine!.state.isLearner()).toBe(true);
    await cluster.run(500);
    expect((await cluster.answered(cluster.get(learner, 'k7', true))).answer!.kvs).toHaveLength(1);
    expect(await errorOf(cluster.get(learner, 'k7'))).toBe('NotSupportedForLearner');
    expect(await errorOf(cluster.put(learner, 'a'))).toBe('NotSupportedForLearner');
    expect(await errorOf(promote(cluster.followers[0], learner.id))).toBeUndefined();
    await cluster.until(() => !learner.engine!.state.isLearner());
    expect(await errorOf(cluster.put(learner, 'a'))).toBeUndefined();
    expect(await cluster.read(cluster.leader, 'a')).toBe('v@1');
    for (const member of cluster.followers.filter((other) => other !== learner).slice(0, 1)) member.kill();
    expect(await errorOf(cluster.put(learner, 'b'))).toBeUndefined();
  });

  it('refuses what etcd refuses, with its errors', async () => {
    const { leader, followers } = cluster;
    const [follower] = followers;
    expect(await errorOf(add(follower, 'nonsense'))).toBe('MemberBadURLs');
    expect(await errorOf(add(follower, 'http://peer-1'))).toBe('MemberBadURLs');
    expect(await errorOf(remove(follower, 99n))).toBe('MemberNotFound');
    expect(await errorOf(promote(follower, 99n))).toBe('MemberNotFound');
    expect(await errorOf(promote(follower, 1n))).toBe('MemberNotLearner');
    expect(await errorOf(add(leader, url, true))).toBeUndefined();
    await cluster.run(1_000);
    expect(await errorOf(add(follower, url, true))).toBe('PeerURLExist');
    expect(await errorOf(add(follower, 'http://10.0.0.10:2380', true))).toBe('TooManyLearners');
    const learner = (await cluster.answered(list(leader, true))).answer!.members.find(
      ({ isLearner }) => isLearner,
    )!;
    expect(await errorOf(promote(follower, learner.ID))).toBe('LearnerNotReady');
    // A voter that was not started yet is not connected either.
    expect(await errorOf(remove(follower, learner.ID))).toBeUndefined();
    expect(await errorOf(add(follower, 'http://10.0.0.11:2380'))).toBeUndefined();
    expect(await errorOf(add(follower, 'http://10.0.0.12:2380'))).toBe('Unhealthy');
  });

  it('does not change the members while one of them is silent, but lets a silent one be removed', async () => {
    const [silent] = cluster.followers;
    cluster.network.isolate(silent.id);
    await cluster.run(3_000);
    expect(await errorOf(add(cluster.leader, url))).toBe('Unhealthy');
    const healthy = cluster.followers.find((member) => member !== silent)!;
    expect(await errorOf(remove(cluster.leader, healthy.id))).toBe('Unhealthy');
    expect(await errorOf(remove(cluster.leader, silent.id))).toBeUndefined();
    expect((await cluster.answered(list(healthy, true))).answer!.members).toHaveLength(2);
  });

  it('ends a removed member, also the leader, and never takes its id back', async () => {
    const { leader, followers } = cluster;
    expect(await errorOf(remove(followers[0], leader.id))).toBeUndefined();
    await cluster.until(() => leader.failure !== undefined);
    expect(leader.failure).toBeInstanceOf(MemberRemovedError);
    leader.kill();
    const next = await cluster.untilLeader();
    expect(await errorOf(cluster.put(next, 'a'))).toBeUndefined();
    expect(await errorOf(remove(next, leader.id))).toBe('MemberNotFound');
  });

  it('changes peer URLs and leaves the rest of a member alone', async () => {
    const learner = await join(url, true);
    const update = { ID: learner.id, peerURLs: ['http://10.0.0.20:2380'] };
    const { followers } = cluster;
    const call = followers[0].call('Cluster/MemberUpdate', MemberUpdateRequest, update, MemberUpdateResponse);
    expect(await errorOf(call)).toBeUndefined();
    const { answer } = await cluster.answered(list(followers[0], true));
    const row = answer!.members.find(({ ID }) => ID === learner.id)!;
    expect([row.peerURLs, row.isLearner]).toEqual([update.peerURLs, true]);
    const missing = { ID: 99n, peerURLs: [url] };
    const unknown = followers[0].call(
      'Cluster/MemberUpdate',
      MemberUpdateRequest,
      missing,
      MemberUpdateResponse,
    );
    expect(await errorOf(unknown)).toBe('MemberNotFound');
  });

  it('sends a change of the members once to each leader, however often it arrives', async () => {
    const [follower] = cluster.followers;
    cluster.network.fateOf = ({ kind }) => (kind === 'query' ? [1, 5, 30] : [1]);
    expect(await errorOf(add(follower, url, true))).toBeUndefined();
    await cluster.run(500);
    cluster.network.fateOf = ({ kind }) => (kind === 'query-reply' ? lost : [1]);
    expect(await errorOf(add(follower, 'http://10.0.0.13:2380', true))).toBe('Timeout');
    expect((await cluster.answered(list(follower, true))).answer!.members).toHaveLength(4);
  });

  it('moves leadership on request', async () => {
    const { leader, followers } = cluster;
    const move = (member: TestMember, targetID: bigint): Call<unknown> =>
      member.call('Maintenance/MoveLeader', MoveLeaderRequest, { targetID }, MoveLeaderResponse);
    expect(await errorOf(move(followers[0], followers[0].id))).toBe('NotLeader');
    expect(await errorOf(move(leader, 77n))).toBe('BadLeaderTransferee');
    const calls = followers.map((member, n) => cluster.put(member, `k${n}`));
    expect(await errorOf(move(leader, followers[0].id))).toBeUndefined();
    expect(await errorOf(cluster.put(leader, 'a'))).toBeUndefined();
    for (const call of calls) expect(await errorOf(call)).toBeUndefined();
    expect(cluster.leader).toBe(followers[0]);
  });

  it('hands leadership over before it stops, and no request fails by that', async () => {
    const { leader, followers } = cluster;
    const calls = [leader, ...followers].map((member, n) => cluster.put(member, `k${n}`));
    let isDrained = false;
    void leader.engine!.drain().then(() => (isDrained = true));
    await cluster.until(() => isDrained, 1_000);
    const later = cluster.put(leader, 'while draining');
    for (const call of [...calls, later]) expect(await errorOf(call)).toBeUndefined();
    expect(followers).toContain(cluster.leader);
  });

  it('says in Status who leads, on followers too', async () => {
    const [follower] = cluster.followers;
    const { answer } = await cluster.answered(
      follower.call('Maintenance/Status', StatusRequest, {}, StatusResponse),
    );
    expect(answer!.leader).toBe(cluster.leader.id);
    expect(answer!.isLearner).toBe(false);
    expect(answer!.errors).toEqual([]);
    cluster.network.isolate(follower.id);
    await cluster.until(() => follower.engine!.state.leader() === 0n);
    const lonely = await cluster.answered(
      follower.call('Maintenance/Status', StatusRequest, {}, StatusResponse),
    );
    expect(lonely.answer!.errors).toEqual(['etcdserver: no leader']);
  });
});

describe('learners that promote themselves', () => {
  it('become voters once they are in sync, and not before they run', async () => {
    const cluster = await TestCluster.found(3, { promotesLearners: true });
    const { answer } = await cluster.answered(add(cluster.leader, url, true));
    const learner = cluster.add(answer!.member!.ID, url, { promotesLearners: true });
    await cluster.run(3_000);
    const rows = await cluster.answered(list(cluster.leader, true));
    expect(rows.answer!.members.filter(({ isLearner }) => isLearner)).toHaveLength(1);
    await cluster.restart(learner);
    await cluster.until(() => list(learner).answer?.members.every(({ isLearner }) => !isLearner) ?? false);
    expect((await cluster.answered(cluster.put(learner, 'a'))).error).toBeUndefined();
  });
});
