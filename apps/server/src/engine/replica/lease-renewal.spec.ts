import { etcdserverpb } from '@conclave/protocol';
import { beforeEach, describe, expect, it } from 'vitest';
import { CommandKind, commandKind } from '../apply/command.js';
import { TestCluster } from './testing/test-cluster.js';
import type { TestMember } from './testing/test-member.js';
import { delivered, lost } from './testing/test-network.js';

const {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
} = etcdserverpb;

describe('leases in a cluster', () => {
  let cluster: TestCluster;

  beforeEach(async () => {
    cluster = await TestCluster.found(3);
  });

  async function grant(member: TestMember, ID: bigint, TTL: bigint): Promise<void> {
    const call = member.call('Lease/LeaseGrant', LeaseGrantRequest, { ID, TTL }, LeaseGrantResponse);
    expect((await cluster.answered(call)).error).toBeUndefined();
  }

  async function remaining(member: TestMember, ID: bigint): Promise<number | string> {
    const request = { ID, keys: false };
    const call = member.call(
      'Lease/LeaseTimeToLive',
      LeaseTimeToLiveRequest,
      request,
      LeaseTimeToLiveResponse,
    );
    const { answer, error } = await cluster.answered(call);
    return error ?? Number(answer!.TTL);
  }

  /** The TTL that one renewal is answered with, or why the stream ended. */
  async function renew(member: TestMember, ID: bigint): Promise<number | string> {
    const stream = member.open('Lease/LeaseKeepAlive', LeaseKeepAliveResponse);
    stream.requests.message(LeaseKeepAliveRequest.encode({ ID }).finish());
    await cluster.until(() => stream.answers.length > 0 || stream.ended !== undefined);
    stream.requests.cancel();
    return stream.ended ?? Number(stream.answers[0].TTL);
  }

  async function changeLeader(): Promise<void> {
    const { leader: old, followers } = cluster;
    cluster.network.isolate(old.id);
    await cluster.until(() => followers.some(({ engine }) => ![0n, old.id].includes(engine!.state.leader())));
    cluster.network.rejoin(old.id);
    await cluster.until(() => old.engine!.state.leader() !== old.id && old.engine!.state.leader() !== 0n);
  }

  function checkpointsSent(): number {
    const { id } = cluster.leader;
    const indexes = new Set<number>();
    for (const message of cluster.network.sent) {
      if (message.kind !== 'append' || message.from !== id) continue;
      for (const { kind, data, index } of message.entries) {
        if (kind === 'normal' && data.length > 0 && commandKind(data) === CommandKind.LeaseCheckpoint)
          indexes.add(index);
      }
    }
    return indexes.size;
  }

  it('are asked about through a member that lags, at a revision not before the question', async () => {
    const [follower] = cluster.followers;
    await grant(cluster.leader, 7n, 10n);
    cluster.network.fateOf = ({ kind, to }) => (kind === 'append' && to === follower.id ? [200] : [1]);
    const { answer: put } = await cluster.answered(cluster.put(cluster.leader, 'k'));
    const request = { ID: 7n, keys: false };
    const path = 'Lease/LeaseTimeToLive';
    const { answer } = await cluster.answered(
      follower.call(path, LeaseTimeToLiveRequest, request, LeaseTimeToLiveResponse),
    );
    expect(answer!.header!.revision).toBe(put!.header!.revision);
    expect(answer!.header!.member_id).toBe(follower.id);
    expect(answer!.TTL).toBeGreaterThan(5n);
  });

  it('are renewed and asked about through any member', async () => {
    const [follower] = cluster.followers;
    await grant(follower, 7n, 10n);
    await cluster.run(4_000);
    expect(await remaining(follower, 7n)).toBeLessThan(7);
    expect(await renew(follower, 7n)).toBe(10);
    expect(await remaining(follower, 7n)).toBeGreaterThanOrEqual(9);
    expect(await renew(follower, 8n)).toBe(0);
    expect(await remaining(follower, 8n)).toBe(-1);
    await cluster.run(12_000);
    expect(await remaining(follower, 7n)).toBe(-1);
  });

  it('are renewed although question or answer is lost, repeated or late', async () => {
    const [follower] = cluster.followers;
    await grant(follower, 7n, 60n);
    let questions = 0;
    cluster.network.fateOf = ({ kind }) => {
      if (kind === 'query') return questions++ === 0 ? lost : [1, 700];
      return kind === 'query-reply' ? [1, 300] : delivered;
    };
    expect(await renew(follower, 7n)).toBe(60);
    expect(questions).toBeGreaterThan(1);
  });

  it('are not renewed by who cannot confirm that it leads', async () => {
    await grant(cluster.leader, 7n, 60n);
    const old = cluster.leader;
    cluster.network.isolate(old.id);
    expect(await renew(old, 7n)).not.toBe(60);
  });

  it('refuse after a wait while there is no leader', async () => {
    const [follower, other] = cluster.followers;
    cluster.leader.kill();
    other.kill();
    await cluster.until(() => follower.engine!.state.leader() === 0n);
    expect(await renew(follower, 7n)).toBe('NoLeader');
    expect(await remaining(follower, 7n)).toBe('NoLeader');
  });

  it('of long TTL go on from their checkpoint under the next leader, short ones begin anew', async () => {
    await grant(cluster.leader, 1n, 1_000n);
    await grant(cluster.leader, 2n, 300n);
    await cluster.run(290_000);
    expect(await renew(cluster.leader, 2n)).toBe(300);
    await cluster.run(20_000);
    await changeLeader();
    expect(await remaining(cluster.leader, 1n)).toBeLessThan(720);
    expect(await remaining(cluster.leader, 1n)).toBeGreaterThan(680);
    expect(await remaining(cluster.leader, 2n)).toBeGreaterThan(290);
  });

  it('that are renewed take their checkpoint back before the renewal is answered', async () => {
    await grant(cluster.leader, 1n, 1_000n);
    await cluster.run(310_000);
    expect(checkpointsSent()).toBe(1);
    expect(await renew(cluster.followers[0], 1n)).toBe(1_000);
    expect(checkpointsSent()).toBe(2);
    await changeLeader();
    expect(await remaining(cluster.leader, 1n)).toBeGreaterThan(990);
    // Without a checkpoint a renewal costs no entry.
    const before = checkpointsSent();
    expect(await renew(cluster.leader, 1n)).toBe(1_000);
    expect(checkpointsSent()).toBe(before);
  });

  it('that run out while leadership goes to somebody who cannot take it are revoked right behind that', async () => {
    const { leader, followers } = cluster;
    await grant(leader, 1n, 2n);
    await cluster.run(1_900);
    const [heir] = followers;
    cluster.network.isolate(heir.id);
    await cluster.answered(cluster.put(leader, 'what the heir lacks'));
    const request = { targetID: heir.id };
    leader.call('Maintenance/MoveLeader', MoveLeaderRequest, request, MoveLeaderResponse);
    await cluster.run(800);
    expect(await remaining(leader, 1n)).toBe(0);
    // An election timeout for the transfer, and half a second to the next look at what has run out.
    await cluster.run(1_500);
    expect(await remaining(leader, 1n)).toBe(-1);
    expect(cluster.leader).toBe(leader);
  });
});
