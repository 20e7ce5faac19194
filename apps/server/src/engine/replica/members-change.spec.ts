import { etcdserverpb, membershippb } from '@conclave/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemberRemovedError } from './roster.js';
import { TestCluster } from './testing/test-cluster.js';
import type { Call, TestMember } from './testing/test-member.js';

const { ChangeMembersRequest, ChangeMembersResponse } = membershippb;
const { MemberListRequest, MemberListResponse } = etcdserverpb;

const limits = { maxRequestBytes: 1_572_864, maxTxnOps: 128, quotaBackendBytes: 0, minLeaseTtlSeconds: 2 };
const options = { limits: { ...limits, maxLearners: 2 } };
const urls = ['http://10.0.0.8:2380', 'http://10.0.0.9:2380'];

type Changes = Partial<membershippb.ChangeMembersRequest>;

function change(member: TestMember, changes: Changes): Call<membershippb.ChangeMembersResponse> {
  const request = ChangeMembersRequest.fromPartial(changes);
  const path = '/conclave.v1.Membership/ChangeMembers';
  return member.call(path, ChangeMembersRequest, request, ChangeMembersResponse);
}

describe('several changes of the members at once', () => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.found(3, options);
    await cluster.run(500);
  });

  async function errorOf(call: Call<unknown>): Promise<string | undefined> {
    return (await cluster.answered(call)).error;
  }

  async function idsOf(member: TestMember): Promise<bigint[]> {
    const request = { linearizable: true };
    const call = member.call('Cluster/MemberList', MemberListRequest, request, MemberListResponse);
    const { answer, error } = await cluster.answered(call);
    expect(error).toBeUndefined();
    return answer!.members.map(({ ID }) => ID);
  }

  /** Adds two learners as one change, starts them and waits until they have all. */
  async function twoLearners(): Promise<TestMember[]> {
    const add = urls.map((url) => ({ peer_urls: [url], is_learner: true }));
    const { answer, error } = await cluster.answered(change(cluster.followers[0], { add }));
    expect(error).toBeUndefined();
    expect(answer!.added.map(({ peerURLs }) => peerURLs)).toEqual(urls.map((url) => [url]));
    expect(answer!.members).toHaveLength(5);
    const learners = answer!.added.map(({ ID }, at) => cluster.add(ID, urls[at], options));
    for (const learner of learners) await cluster.restart(learner);
    await cluster.run(2_000);
    return learners;
  }

  it('replace two of three members, the leader among them, as one change', async () => {
    for (let n = 0; n < 20; n++) await cluster.answered(cluster.put(cluster.leader, `k${n}`));
    const learners = await twoLearners();
    const { leader, followers } = cluster;
    const [stays, goes] = followers.filter((member) => !learners.includes(member));
    const promote = learners.map(({ id }) => id);
    const remove = [leader.id, goes.id];
    const { answer, error } = await cluster.answered(change(goes, { promote, remove }));
    expect(error).toBeUndefined();
    const expected = [stays.id, ...promote].sort((a, b) => (a < b ? -1 : 1));
    expect(answer!.members.map(({ ID }) => ID)).toEqual(expected);
    expect(answer!.members.every(({ isLearner }) => !isLearner)).toBe(true);
    // They are not needed from the answer on.
    leader.kill();
    goes.kill();
    cluster.members.delete(leader.id);
    cluster.members.delete(goes.id);
    expect(await errorOf(cluster.put(stays, 'after'))).toBeUndefined();
    expect(await idsOf(learners[0])).toEqual(expected);
    expect(await cluster.read(learners[1], 'k7')).toBe('v@1');
    stays.kill();
    expect(await errorOf(cluster.put(learners[0], 'two of three'))).toBeUndefined();
  });

  it('ends the members that were removed, and never takes them back', async () => {
    const learners = await twoLearners();
    const [stays, goes] = cluster.followers.filter((member) => !learners.includes(member));
    const promote = [learners[0].id];
    expect(await errorOf(change(stays, { promote, remove: [goes.id, learners[1].id] }))).toBeUndefined();
    await cluster.until(() => goes.failure !== undefined);
    expect(goes.failure).toBeInstanceOf(MemberRemovedError);
    expect(await errorOf(change(stays, { remove: [goes.id] }))).toBe('MemberNotFound');
  });

  it('are refused as a whole, with the error of the part that is wrong', async () => {
    const before = await idsOf(cluster.leader);
    const [follower] = cluster.followers;
    const learner = { peer_urls: [urls[0]], is_learner: true };
    const voter = { peer_urls: [urls[0]], is_learner: false };
    const cases: [Changes, string | RegExp][] = [
      [{}, /no change was given/],
      [{ remove: [follower.id, follower.id] }, /named twice/],
      [{ promote: [follower.id], remove: [follower.id] }, /named twice/],
      [{ add: [{ peer_urls: ['nonsense'], is_learner: true }] }, 'MemberBadURLs'],
      [{ add: [learner, learner] }, 'MemberExist|PeerURLExist'],
      [{ add: [learner], remove: [77n] }, 'MemberNotFound'],
      [{ add: [learner], promote: [follower.id] }, 'MemberNotLearner'],
      [
        { add: ['a', 'b', 'c'].map((host) => ({ ...learner, peer_urls: [`http://${host}:1`] })) },
        'TooManyLearners',
      ],
      // Voters that have not started cannot be the majority of the new half.
      [{ add: [voter, { ...voter, peer_urls: [urls[1]] }], remove: [1n, 2n] }, 'MemberNotEnoughStarted'],
      [{ remove: [1n, 2n, 3n] }, 'MemberNotEnoughStarted'],
    ];
    for (const [changes, expected] of cases) {
      expect(await errorOf(change(follower, changes)), JSON.stringify(expected)).toMatch(
        new RegExp(expected),
      );
    }
    expect(await idsOf(cluster.leader)).toEqual(before);
  });

  it('need a majority of both halves to be connected, and learners to be in sync', async () => {
    const learners = await twoLearners();
    const [stays, goes] = cluster.followers.filter((member) => !learners.includes(member));
    learners[0].kill();
    await cluster.run(3_000);
    const promote = learners.map(({ id }) => id);
    expect(await errorOf(change(stays, { promote, remove: [goes.id] }))).toBe('LearnerNotReady');
    cluster.network.isolate(goes.id);
    await cluster.run(3_000);
    // One of two would be left.
    expect(await errorOf(change(stays, { remove: [stays.id] }))).toBe('Unhealthy');
  });

  it('are made by none or by all, also when the leader dies on the way', async () => {
    for (const afterMs of [1, 2, 3, 4, 6, 9, 14]) {
      cluster = await TestCluster.found(3, options);
      await cluster.run(500);
      const learners = await twoLearners();
      const { leader } = cluster;
      const [stays, goes] = cluster.followers.filter((member) => !learners.includes(member));
      const promote = learners.map(({ id }) => id);
      const call = change(leader, { promote, remove: [goes.id] });
      await cluster.run(afterMs);
      leader.kill();
      // The voters of both halves have majorities without it.
      await cluster.until(
        () => stays.engine!.state.leader() !== leader.id && stays.engine!.state.leader() !== 0n,
      );
      expect(await errorOf(cluster.put(stays, 'x'))).toBeUndefined();
      await cluster.run(1_000);
      const ids = await idsOf(stays);
      const isDone = !ids.includes(goes.id);
      expect(ids).toHaveLength(isDone ? 4 : 5);
      if (call.isDone && call.error === undefined) expect(isDone).toBe(true);
    }
  });
});
