import { beforeEach, describe, expect, it } from 'vitest';
import type { ForwardedProposal, PeerMessage } from './peer-message.js';
import { TestCluster } from './testing/test-cluster.js';
import { delivered, lost } from './testing/test-network.js';
import type { TestMember } from './testing/test-member.js';

describe('proposals through a follower', () => {
  let cluster: TestCluster;
  let follower: TestMember;

  beforeEach(async () => {
    cluster = await TestCluster.found(3);
    [follower] = cluster.followers;
  });

  function forwards(): ForwardedProposal[] {
    return cluster.network.sent.filter((message) => message.kind === 'propose');
  }

  it('are answered after they are applied here, and can be read everywhere', async () => {
    const { error, answer } = await cluster.answered(cluster.put(follower, 'a', 'one'));
    expect(error).toBeUndefined();
    expect(answer!.header!.member_id).toBe(follower.id);
    expect((await cluster.answered(cluster.get(follower, 'a', true))).answer!.kvs[0].value.toString()).toBe(
      'one',
    );
    for (const member of cluster.members.values()) expect(await cluster.read(member, 'a')).toBe('one@1');
  });

  it('take effect once when the network repeats and reorders them', async () => {
    cluster.network.fateOf = ({ kind }) => (kind === 'propose' ? [40, 1, 90] : delivered);
    const calls = ['x', 'y', 'z'].map((value) => cluster.put(follower, 'a', value));
    for (const call of calls) expect((await cluster.answered(call)).error).toBeUndefined();
    await cluster.run(500);
    expect(await cluster.read(follower, 'a')).toBe('z@3');
  });

  it('time out when they were lost on the way, and never take effect later', async () => {
    cluster.network.fateOf = ({ kind }) => (kind === 'propose' ? lost : delivered);
    const call = cluster.put(follower, 'a', 'lost');
    await cluster.run(6_900);
    expect(call.isDone).toBe(false);
    expect((await cluster.answered(call)).error).toBe('Timeout');
    cluster.network.fateOf = undefined;
    await cluster.run(2_000);
    expect(forwards().filter(({ command }) => Buffer.from(command).includes('lost'))).toHaveLength(1);
    expect(await cluster.read(follower, 'a')).toBeUndefined();
  });

  it('are refused by who does not lead in the term they were meant for, also when they come late', async () => {
    const old = cluster.leader;
    let late: PeerMessage | undefined;
    cluster.network.fateOf = (message) => {
      if (message.kind !== 'propose' || late !== undefined) return delivered;
      late = message;
      return lost;
    };
    const call = cluster.put(follower, 'a', 'once');
    await cluster.run(50);
    await cluster.answered(cluster.put(old, 'b', 'the leader works'));
    cluster.network.isolate(old.id);
    await cluster.until(
      () => follower.engine!.state.leader() !== old.id && follower.engine!.state.leader() !== 0n,
    );
    // The new leader's first entry tells that the command is in no log: it is proposed anew.
    expect((await cluster.answered(call)).error).toBeUndefined();
    cluster.network.rejoin(old.id);
    old.transport!.onMessage!(late!);
    await cluster.run(2_000);
    old.transport!.onMessage!(late!);
    await cluster.run(1_000);
    expect(await cluster.read(follower, 'a')).toBe('once@1');
  });

  it('survive the loss of the leader: what it took and did not replicate is proposed anew, once', async () => {
    const old = cluster.leader;
    cluster.network.fateOf = (message) =>
      message.kind === 'append' && message.from === old.id ? lost : delivered;
    const forwarded = cluster.put(follower, 'a', 'forwarded');
    const local = cluster.put(old, 'b', 'local');
    await cluster.run(100);
    cluster.network.isolate(old.id);
    cluster.network.fateOf = undefined;
    await cluster.until(() => forwarded.isDone);
    expect(forwarded.error).toBeUndefined();
    expect(local.isDone).toBe(false);
    cluster.network.rejoin(old.id);
    expect((await cluster.answered(local)).error).toBeUndefined();
    expect(await cluster.read(follower, 'a')).toBe('forwarded@1');
    expect(await cluster.read(follower, 'b')).toBe('local@1');
  });

  it('wait for a leader when there is none', async () => {
    const old = cluster.leader;
    cluster.network.isolate(old.id);
    await cluster.until(() => follower.engine!.state.leader() === 0n);
    const call = cluster.put(follower, 'a', 'waits');
    expect(call.isDone).toBe(false);
    expect((await cluster.answered(call)).error).toBeUndefined();
    expect(await cluster.read(follower, 'a')).toBe('waits@1');
  });

  it("are nobody else's to hand over, and only of kinds that others may propose", async () => {
    await cluster.answered(cluster.put(follower, 'a', 'mine'));
    const [message] = forwards();
    const foreign = { ...message, from: cluster.followers[1].id };
    const damaged = { ...message, command: message.command.subarray(0, 5) };
    const leadersOwn = { ...message, command: Buffer.from(message.command) };
    leadersOwn.command[1] = 7;
    leadersOwn.command.writeUIntBE(9_999, 18, 6);
    for (const bad of [foreign, damaged, leadersOwn]) cluster.leader.transport!.onMessage!(bad);
    await cluster.run(200);
    expect(cluster.leader.failure).toBeUndefined();
    expect(await cluster.read(follower, 'a')).toBe('mine@1');
  });
});

describe('linearizable reads through a follower', () => {
  it('are asked for again when the round is lost', async () => {
    const cluster = await TestCluster.found(3);
    const [follower] = cluster.followers;
    await cluster.answered(cluster.put(cluster.leader, 'a', 'one'));
    let dropped = 0;
    cluster.network.fateOf = ({ kind }) => (kind === 'read-index' && dropped++ < 2 ? lost : delivered);
    const began = cluster.clock.now();
    expect(await cluster.read(follower, 'a')).toBe('one@1');
    expect(dropped).toBeGreaterThan(2);
    expect(cluster.clock.now() - began).toBeGreaterThan(900);
  });

  it('wait out a change of leader', async () => {
    const cluster = await TestCluster.found(3);
    const [follower] = cluster.followers;
    await cluster.answered(cluster.put(cluster.leader, 'a', 'one'));
    cluster.network.isolate(cluster.leader.id);
    const call = await cluster.answered(cluster.get(follower, 'a'));
    expect(call.error).toBeUndefined();
    expect(call.answer!.kvs[0].value.toString()).toBe('one');
  });

  it('time out in a minority, where serializable ones still answer', async () => {
    const cluster = await TestCluster.found(3);
    const [follower] = cluster.followers;
    await cluster.answered(cluster.put(follower, 'a', 'one'));
    cluster.network.isolate(follower.id);
    const [linearizable, serializable] = [cluster.get(follower, 'a'), cluster.get(follower, 'a', true)];
    expect(serializable.answer!.kvs[0].value.toString()).toBe('one');
    expect((await cluster.answered(linearizable)).error).toBe('Timeout');
  });
});
