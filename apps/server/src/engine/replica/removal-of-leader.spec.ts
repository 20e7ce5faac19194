import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { MemberRemovedError } from './roster.js';
import { TestCluster } from './testing/test-cluster.js';
import type { Call, TestMember } from './testing/test-member.js';
import { delivered, lost } from './testing/test-network.js';

const { MemberRemoveRequest, MemberRemoveResponse } = etcdserverpb;

function remove(member: TestMember, ID: bigint): Call<etcdserverpb.MemberRemoveResponse> {
  return member.call('Cluster/MemberRemove', MemberRemoveRequest, { ID }, MemberRemoveResponse);
}

function leaderOf(member: TestMember): bigint {
  return member.engine!.state.leader();
}

describe('the removal of a leader', () => {
  for (const size of [2, 3, 5]) {
    for (const place of ['the leader itself', 'its successor', 'another member'] as const) {
      if (size === 2 && place === 'another member') continue;
      it(`of ${size} members is proposed by its successor, asked through ${place}`, async () => {
        const cluster = await TestCluster.found(size);
        const { leader, followers } = cluster;
        // All are equally far, so that the first of them is the heir.
        await cluster.run(500);
        const heir = followers[0];
        const asked = { 'the leader itself': leader, 'its successor': heir, 'another member': followers[1] }[
          place
        ];
        const removal = await cluster.answered(remove(asked, leader.id));
        expect(removal.error).toBeUndefined();
        expect(removal.answer!.members.map(({ ID }) => ID)).not.toContain(leader.id);
        // Nobody had to be elected after the change: the successor led already.
        expect(leaderOf(heir)).toBe(heir.id);
        expect((await cluster.answered(cluster.put(heir, 'after'))).error).toBeUndefined();
        await cluster.until(() => leader.failure !== undefined);
        expect(leader.failure).toBeInstanceOf(MemberRemovedError);
      });
    }
  }

  it('of two members leaves a survivor that serves, when the link is cut as soon as the answer is there', async () => {
    for (const through of ['leader', 'follower'] as const) {
      const cluster = await TestCluster.found(2);
      const { leader, followers } = cluster;
      const call = remove(through === 'leader' ? leader : followers[0], leader.id);
      while (!call.isDone) await cluster.run(1);
      cluster.network.isolate(leader.id);
      expect(call.error).toBeUndefined();
      expect((await cluster.answered(cluster.put(followers[0], 'alone'))).error).toBeUndefined();
    }
  });

  it('is done by the leader itself where nobody can take over in time', async () => {
    const cluster = await TestCluster.found(3);
    cluster.network.fateOf = ({ kind }) => (kind === 'timeout-now' ? lost : delivered);
    const { leader, followers } = cluster;
    const { error } = await cluster.answered(remove(followers[1], leader.id));
    expect(error).toBeUndefined();
    await cluster.until(() => leader.failure !== undefined);
    leader.kill();
    const next = await cluster.untilLeader();
    expect((await cluster.answered(cluster.put(next, 'after'))).error).toBeUndefined();
  });

  it('is not begun by a leader that refuses it: leadership stays', async () => {
    const cluster = await TestCluster.found(3);
    const { leader, followers } = cluster;
    cluster.network.isolate(followers[0].id);
    await cluster.run(3_000);
    expect((await cluster.answered(remove(followers[1], leader.id))).error).toBe('Unhealthy');
    expect(leaderOf(leader)).toBe(leader.id);
  });

  it('says "leader changed" of a change that a leader may have begun when it died', async () => {
    const cluster = await TestCluster.found(5);
    const { leader, followers } = cluster;
    cluster.network.fateOf = ({ kind, from }) =>
      kind === 'query-reply' && from === leader.id ? lost : delivered;
    const call = remove(followers[0], followers[1].id);
    await cluster.run(50);
    leader.kill();
    expect((await cluster.answered(call)).error).toBe('LeaderChanged');
  });
});
