import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../raft/message.js';
import type { PeerMessage } from './peer-message.js';
import { TestCluster } from './testing/test-cluster.js';
import type { Call, TestMember } from './testing/test-member.js';

const { DeleteRangeRequest, DeleteRangeResponse } = etcdserverpb;

function remove(member: TestMember, key: string): Call<etcdserverpb.DeleteRangeResponse> {
  const request = DeleteRangeRequest.fromPartial({ key: Buffer.from(key) });
  return member.call('KV/DeleteRange', DeleteRangeRequest, request, DeleteRangeResponse);
}

async function putMany(cluster: TestCluster, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const { error } = await cluster.answered(cluster.put(cluster.leader, `k${n % 10}`, `${n}`));
    expect(error).toBeUndefined();
  }
}

function reportsOf(cluster: TestCluster): readonly PeerMessage[] {
  return cluster.network.sent.filter(({ kind }) => kind === 'chains');
}

function statesFrom(cluster: TestCluster): () => number {
  let states = 0;
  for (const { transport } of cluster.members.values()) {
    const send = transport!.sendState.bind(transport);
    transport!.sendState = (...state) => {
      states++;
      return send(...state);
    };
  }
  return () => states;
}

/** The error of a read that no other member is asked about. */
async function refusalOf(cluster: TestCluster, member: TestMember): Promise<string | undefined> {
  return (await cluster.answered(cluster.get(member, 'k1', true))).error;
}

describe('a member whose results differ', () => {
  it('serves nobody until it got a state of the leader, and then serves the right one', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted, sound] = cluster.followers;
    await putMany(cluster, 20);
    const states = statesFrom(cluster);
    doubted.loseKey('k1');
    await cluster.answered(remove(cluster.leader, 'k1'));
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === 'Unhealthy');
    expect(doubted.engine!.state.integrity()).toBe('results-differ');
    expect(await refusalOf(cluster, sound)).toBeUndefined();
    await cluster.until(() => states() > 0);
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === undefined);
    for (const member of cluster.members.values()) {
      expect(await cluster.read(member, 'k1')).toBeUndefined();
      expect(await cluster.read(member, 'k2')).toBe('12@2');
    }
    await cluster.run(5_000);
    expect(states()).toBe(1);
    expect(cluster.leader.engine!.state.alarms()).toEqual([]);
  });

  it('ends its watches, whose callers go on elsewhere', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted] = cluster.followers;
    await putMany(cluster, 5);
    const stream = doubted.open('Watch/Watch', etcdserverpb.WatchResponse);
    doubted.loseKey('k1');
    await cluster.answered(remove(cluster.leader, 'k1'));
    await cluster.until(() => stream.ended !== undefined);
    expect(stream.ended).toBe('Unhealthy');
  });

  it('keeps what it acknowledged: its log stays while states come late under load', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted] = cluster.followers;
    await putMany(cluster, 5);
    doubted.loseKey('k1');
    await cluster.answered(remove(cluster.leader, 'k1'));
    const calls: Call<unknown>[] = [];
    for (let n = 0; n < 2_000; n++) {
      calls.push(cluster.put(cluster.leader, `load${n % 7}`, `${n}`));
      if (n % 10 === 0) await cluster.run(20);
    }
    await cluster.until(() => calls.every(({ isDone }) => isDone));
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === undefined);
    expect(await cluster.read(doubted, 'load5')).toBe(await cluster.read(cluster.leader, 'load5'));
  });

  it('is still in doubt after a restart', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted] = cluster.followers;
    await putMany(cluster, 5);
    const { leader } = cluster;
    leader.transport!.sendState = () => Promise.reject(new Error('the network is down'));
    doubted.loseKey('k1');
    await cluster.answered(remove(leader, 'k1'));
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === 'Unhealthy');
    await cluster.run(3_000);
    doubted.kill();
    await cluster.restart(doubted);
    expect(await refusalOf(cluster, doubted)).toBe('Unhealthy');
  });

  it('steps down when it leads, and another leads', async () => {
    const cluster = await TestCluster.found(3);
    const former = cluster.leader;
    await putMany(cluster, 5);
    former.loseKey('k1');
    await cluster.answered(remove(cluster.followers[0], 'k1'));
    await cluster.until(() => cluster.get(former, 'k2', true).error === 'Unhealthy');
    await cluster.until(
      () => former.engine!.state.leader() !== former.id && former.engine!.state.leader() !== 0n,
    );
    await cluster.until(() => cluster.get(former, 'k2', true).error === undefined);
    expect(await cluster.read(former, 'k1')).toBeUndefined();
    expect((await cluster.answered(cluster.put(former, 'k3', 'x'))).error).toBeUndefined();
  });
});

describe('a member whose log differs', () => {
  /** What a bit flip in memory does to an entry before it is written. */
  function damageFor(cluster: TestCluster, member: TestMember, text: string): void {
    const damaged = (entry: Entry): Entry => {
      const data = Buffer.from(entry.data);
      const at = data.indexOf(text);
      if (at < 0) return entry;
      data[at] ^= 1;
      return { ...entry, data };
    };
    cluster.network.alter = (message) =>
      message.kind === 'append' && message.to === member.id
        ? { ...message, entries: message.entries.map(damaged) }
        : message;
  }

  it('neither acknowledges nor votes until it got a state, and drops the entries that it covers', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted] = cluster.followers;
    await putMany(cluster, 5);
    const { leader } = cluster;
    const send = leader.transport!.sendState.bind(leader.transport);
    leader.transport!.sendState = () => Promise.reject(new Error('the network is down'));
    damageFor(cluster, doubted, 'precious');
    await cluster.answered(cluster.put(leader, 'k1', 'precious'));
    cluster.network.alter = undefined;
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === 'Unhealthy');
    const before = cluster.network.sent.length;
    await putMany(cluster, 20);
    await cluster.run(3_000);
    const said = cluster.network.sent.slice(before).filter(({ from }) => from === doubted.id);
    expect(said.filter(({ kind }) => kind === 'append-reply')).toEqual([]);
    expect(said.filter(({ kind }) => kind === 'heartbeat-reply').length).toBeGreaterThan(0);
    leader.transport!.sendState = send;
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === undefined);
    doubted.kill();
    await cluster.restart(doubted);
    expect(await cluster.read(doubted, 'k1')).toBe(await cluster.read(leader, 'k1'));
    expect((await cluster.answered(cluster.put(doubted, 'k4', 'x'))).error).toBeUndefined();
  });
});

describe('members without a majority on one side', () => {
  it('raise the CORRUPT alarm, and nobody is sent a state', async () => {
    const cluster = await TestCluster.found(2);
    const [follower] = cluster.followers;
    await putMany(cluster, 5);
    const states = statesFrom(cluster);
    follower.loseKey('k1');
    await cluster.answered(remove(cluster.leader, 'k1'));
    await cluster.until(() => cluster.leader.engine!.state.alarms().includes('CORRUPT'));
    await cluster.until(() => follower.engine!.state.alarms().includes('CORRUPT'));
    expect((await cluster.answered(cluster.put(cluster.leader, 'x'))).error).toBe('Corrupt');
    await cluster.run(5_000);
    expect(states()).toBe(0);
  });

  it('wait for a silent member to decide before they raise it', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted, silent] = cluster.followers;
    await putMany(cluster, 5);
    cluster.network.isolate(silent.id);
    doubted.loseKey('k1');
    await cluster.answered(remove(cluster.leader, 'k1'));
    await cluster.run(4_000);
    cluster.network.rejoin(silent.id);
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === 'Unhealthy');
    await cluster.until(() => cluster.get(doubted, 'k2', true).error === undefined);
    expect(cluster.leader.engine!.state.alarms()).toEqual([]);
  });

  it('raise it after a while when the silent member stays silent', async () => {
    const cluster = await TestCluster.found(3);
    const [doubted, silent] = cluster.followers;
    await putMany(cluster, 5);
    cluster.network.isolate(silent.id);
    doubted.loseKey('k1');
    await cluster.answered(remove(cluster.leader, 'k1'));
    await cluster.until(() => cluster.leader.engine!.state.alarms().includes('CORRUPT'));
  });
});

describe('members that agree', () => {
  async function expectCalm(cluster: TestCluster): Promise<void> {
    const before = reportsOf(cluster).length;
    await putMany(cluster, 10);
    await cluster.run(4_000);
    const reports = reportsOf(cluster).slice(before);
    const running = [...cluster.members.values()].filter(({ engine }) => engine !== undefined);
    for (const { id, engine } of running) {
      expect(reports.some(({ from }) => from === id)).toBe(true);
      expect(await refusalOf(cluster, cluster.member(id))).toBeUndefined();
      expect(engine!.state.alarms()).toEqual([]);
    }
  }

  it('are not disturbed by restarts', async () => {
    const cluster = await TestCluster.found(3);
    await putMany(cluster, 10);
    const [first, second] = cluster.followers;
    for (const member of [first, second, cluster.leader]) {
      member.kill();
      await cluster.run(3_000);
      await cluster.untilLeader();
      await putMany(cluster, 5);
      await cluster.restart(member);
      await cluster.run(2_000);
    }
    await expectCalm(cluster);
  });

  it('are not disturbed by a member that got its state from the leader', async () => {
    const cluster = await TestCluster.found(3, { retainedEntries: 10 });
    const [lagging] = cluster.followers;
    cluster.network.isolate(lagging.id);
    await putMany(cluster, 1_500);
    await cluster.run(3_000);
    const states = statesFrom(cluster);
    cluster.network.rejoin(lagging.id);
    await cluster.until(() => states() > 0);
    await expectCalm(cluster);
  });

  it('are not disturbed by members that come and go, from one to three', async () => {
    const cluster = await TestCluster.found(1);
    await putMany(cluster, 10);
    expect(reportsOf(cluster)).toEqual([]);
    for (const id of [2n, 3n]) {
      const { MemberAddRequest, MemberAddResponse } = etcdserverpb;
      const request = MemberAddRequest.fromPartial({ peerURLs: [`http://peer-${id}:2380`] });
      await cluster.run(6_000);
      const added = await cluster.answered(
        cluster.leader.call('Cluster/MemberAdd', MemberAddRequest, request, MemberAddResponse),
      );
      expect(added.error).toBeUndefined();
      const member = cluster.add(added.answer!.member!.ID, `http://peer-${id}:2380`);
      await cluster.restart(member);
      await cluster.until(() => member.engine!.state.leader() !== 0n);
      await cluster.run(3_000);
    }
    await expectCalm(cluster);
  });

  it('say nothing more while nothing happens', async () => {
    const cluster = await TestCluster.found(3);
    await putMany(cluster, 5);
    await cluster.run(5_000);
    const before = reportsOf(cluster).length;
    await cluster.run(20_000);
    expect(reportsOf(cluster)).toHaveLength(before);
  });
});
