import { expect, it } from 'vitest';
import type { RawNode } from '../raft/raw-node.js';
import { StepAside } from './step-aside.js';
import { TestCluster } from './testing/test-cluster.js';

const logger = { debug() {}, info() {}, warn() {}, error() {} };

it('a leader whose disk stalls hands over, and writes go on', async () => {
  const cluster = await TestCluster.found(3);
  const former = cluster.leader;
  const [next] = cluster.followers;
  former.diskMs = 60_000;
  cluster.put(former, 'k', 'acknowledged by nobody yet');
  await cluster.until(() => next.engine!.state.leader() !== former.id, 3_000);
  const leader = await cluster.untilLeader();
  expect(leader).not.toBe(former);
  expect(cluster.network.sent.some(({ kind, from }) => kind === 'timeout-now' && from === former.id)).toBe(
    true,
  );
  expect((await cluster.answered(cluster.put(leader, 'k2'))).error).toBeUndefined();
  expect(await cluster.read(leader, 'k')).toBe('acknowledged by nobody yet@1');
});

it('a leader that can reach nobody to take over steps down', async () => {
  const cluster = await TestCluster.found(3);
  const former = cluster.leader;
  cluster.network.fateOf = ({ kind }) => (kind === 'timeout-now' ? [] : [1]);
  former.diskMs = 60_000;
  cluster.put(former, 'k');
  const [other] = cluster.followers;
  await cluster.until(() => ![0n, former.id].includes(other.engine!.state.leader()), 8_000);
  const leader = await cluster.untilLeader();
  expect(leader).not.toBe(former);
  expect((await cluster.answered(cluster.put(leader, 'k2'))).error).toBeUndefined();
});

it('a leader whose event loop stalled for an election timeout hands over', () => {
  const asked: bigint[] = [];
  const confState = { voters: [1n, 2n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
  const progress = [
    { member: 1n, match: 9, recentActive: true },
    { member: 2n, match: 9, recentActive: true },
  ];
  const raft = {
    status: () => ({ id: 1n, role: 'leader', term: 3, confState, progress }),
    transferLeadership: (to: bigint) => asked.push(to) > 0,
    stepDown: () => expect.fail('the heir has not had its time'),
  } as unknown as RawNode;
  const stepAside = new StepAside({ raft, logger, electionMs: 1_000 });
  for (const now of [0, 100, 200, 1_150]) stepAside.tick(now);
  expect(asked).toEqual([]);
  stepAside.tick(2_200);
  expect(asked).toEqual([2n]);
  stepAside.tick(2_300);
  expect(asked).toEqual([2n]);
});

it('a slow disk that keeps up is no reason to go', async () => {
  const cluster = await TestCluster.found(3);
  const { leader } = cluster;
  leader.diskMs = 300;
  for (let n = 0; n < 20; n++) {
    expect((await cluster.answered(cluster.put(leader, `k${n}`))).error).toBeUndefined();
  }
  await cluster.run(3_000);
  expect(cluster.leader).toBe(leader);
});

it('a member that is alone stays leader however slow its disk is', async () => {
  const cluster = await TestCluster.found(1);
  const { leader } = cluster;
  leader.diskMs = 5_000;
  const call = cluster.put(leader, 'k');
  await cluster.until(() => call.isDone, 30_000);
  expect(leader.engine!.state.leader()).toBe(leader.id);
});
