import { etcdserverpb } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import type { AppliedMark, Backend } from '../backend/backend.js';
import { ManualClock } from '../platform/manual-clock.js';
import type { Disk } from '../platform/disk.js';
import type { MemberId } from '../raft/message.js';
import type { RawNode } from '../raft/raw-node.js';
import type { LogCut } from './log-cut.js';
import { NoPeers } from './peer-transport.js';
import { StateTransfer } from './state-transfer.js';
import { TestCluster } from './testing/test-cluster.js';
import type { TestMember } from './testing/test-member.js';

/** A cluster that keeps few entries for others, with a member that needs a whole state. */
async function lagging(): Promise<{ cluster: TestCluster; member: TestMember }> {
  const cluster = await TestCluster.found(3, { retainedEntries: 10 });
  const [member] = cluster.followers;
  cluster.network.isolate(member.id);
  for (let n = 0; n < 40; n++)
    await cluster.answered(cluster.put(cluster.leader, `k${n}`, 'v'.repeat(4_000)));
  await cluster.run(4_000);
  return { cluster, member };
}

function alarms(member: TestMember): readonly string[] {
  return member.engine!.state.alarms();
}

function disarm(cluster: TestCluster, memberID: bigint) {
  const request = etcdserverpb.AlarmRequest.fromPartial({
    action: etcdserverpb.AlarmRequest_AlarmAction.DEACTIVATE,
    alarm: etcdserverpb.AlarmType.NOSPACE,
    memberID,
  });
  return cluster.leader.call(
    'Maintenance/Alarm',
    etcdserverpb.AlarmRequest,
    request,
    etcdserverpb.AlarmResponse,
  );
}

describe('a member whose disk has no room for the state that it is sent', () => {
  it('drops it, raises NOSPACE and goes on; with room it takes the next one', async () => {
    const { cluster, member } = await lagging();
    let states = 0;
    const { transport } = member;
    const take = transport!.onState!;
    transport!.onState = (state) => {
      states++;
      // The received file fits, its copy in the directory of the store does not.
      if (states <= 2) member.leaveRoom(20_000);
      take(state);
    };
    cluster.network.rejoin(member.id);
    await cluster.until(() => states === 2);
    await cluster.run(500);
    await cluster.until(() => alarms(cluster.leader).includes('NOSPACE'));
    expect(member.failure).toBeUndefined();
    expect(await cluster.read(cluster.leader, 'k39')).toMatch(/@1$/);
    // It has its old state, and says so.
    expect((await cluster.answered(cluster.get(member, 'k39', true))).answer!.kvs).toEqual([]);
    member.leaveRoom(10_000_000);
    await cluster.until(() => states >= 3);
    expect(await cluster.read(member, 'k39')).toMatch(/@1$/);
    expect(alarms(member)).toEqual(['NOSPACE']);
    await cluster.answered(disarm(cluster, member.id));
    await cluster.until(() => alarms(member).length === 0);
    expect((await cluster.answered(cluster.put(member, 'after'))).error).toBeUndefined();
    member.kill();
    await cluster.restart(member);
    expect(await cluster.read(member, 'after')).toBe('v@1');
  });

  it('does not make the leader send states without a pause', async () => {
    const { cluster, member } = await lagging();
    let states = 0;
    const take = member.transport!.onState!;
    member.transport!.onState = (state) => {
      states++;
      member.leaveRoom(20_000);
      take(state);
    };
    cluster.network.rejoin(member.id);
    await cluster.until(() => states === 1);
    await cluster.run(10_000);
    expect(states).toBeGreaterThan(2);
    expect(states).toBeLessThanOrEqual(6);
  });
});

/** A member whose log found no room for its next segment while nobody could hear of it, and that gave up proposing the alarm. */
async function fullAndAlone(): Promise<{ cluster: TestCluster; member: TestMember }> {
  const cluster = await TestCluster.found(3);
  const member = cluster.leader;
  cluster.network.isolate(member.id);
  member.leaveRoom(0);
  for (let n = 0; n < 20; n++) cluster.put(member, `k${n}`, 'v'.repeat(4_000));
  await cluster.run(5_000);
  return { cluster, member };
}

describe('the alarm of a full disk that could not be proposed', () => {
  it('is raised later, while there is no room', async () => {
    const { cluster, member } = await fullAndAlone();
    await cluster.run(10_000);
    cluster.network.rejoin(member.id);
    await cluster.until(() => alarms(cluster.leader).includes('NOSPACE'));
  });

  it('is not raised any more when there is room', async () => {
    const { cluster, member } = await fullAndAlone();
    member.leaveRoom(10_000_000);
    await cluster.run(10_000);
    cluster.network.rejoin(member.id);
    await cluster.run(20_000);
    expect(alarms(cluster.leader)).toEqual([]);
    expect((await cluster.answered(cluster.put(member, 'after'))).error).toBeUndefined();
  });
});

/** A transfer over a store whose flush never ends, as on a full disk. */
function stuckTransfer() {
  const clock = new ManualClock();
  const warnings: unknown[] = [];
  const ended: (AppliedMark | undefined)[] = [];
  const stats = { noSpace: undefined as string | undefined };
  const applied = { index: 5, term: 1 };
  const backend = { applied, flushed: applied, stats, flush: () => new Promise<void>(() => {}) };
  const raft = {
    status: () => ({
      confState: { voters: [1n, 2n], learners: [], outgoing: [], learnersNext: [], autoLeave: false },
    }),
    snapshotSent: (_to: MemberId, mark: AppliedMark | undefined) => void ended.push(mark),
  };
  const silent = (): void => undefined;
  const transfer = new StateTransfer({
    raft: raft as unknown as RawNode,
    backend: backend as unknown as Backend,
    transport: new NoPeers(),
    disk: { makeDirectory: () => Promise.resolve() } as unknown as Disk,
    clock,
    logger: {
      debug: silent,
      info: silent,
      warn: (_text, fields) => void warnings.push(fields),
      error: silent,
    },
    logCut: { holdAfter: silent, release: silent } as unknown as LogCut,
    spoolDirectory: '/spool',
    wake: silent,
    fail: (error) => expect.fail(error.message),
  });
  return { transfer, clock, warnings, ended, stats };
}

/** Lets what waits for nothing but its turn go on. */
function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a member that cannot flush the state that it is to send', () => {
  it('gives up when it learns that its disk is full, and says why', async () => {
    const { transfer, clock, warnings, ended, stats } = stuckTransfer();
    transfer.send(2n);
    await breath();
    clock.advance(3_000);
    await breath();
    expect(warnings).toEqual([]);
    stats.noSpace = 'no space left for /data/db. Free some.';
    clock.advance(1_000);
    await breath();
    expect(warnings).toEqual([{ to: '2', reason: 'no space left for /data/db. Free some.' }]);
    // The member may ask again, but not at once.
    expect(ended).toEqual([]);
    clock.advance(2_000);
    await breath();
    expect(ended).toEqual([undefined]);
  });
});
