import { describe, expect, it } from 'vitest';
import { type Entry, type Message } from './message.js';
import { type RaftConfig, type RawNode } from './raw-node.js';
import { freshNode, restartedNode } from './testing/fresh-node.js';
import { type ReadResult } from './work.js';

/** Does everything a host does, with an instant disk. Returns what left and what was answered. */
function drain(node: RawNode): { messages: Message[]; reads: ReadResult[]; committed: Entry[] } {
  const seen = { messages: [] as Message[], reads: [] as ReadResult[], committed: [] as Entry[] };
  while (node.hasWork()) {
    const work = node.takeWork();
    seen.messages.push(...work.messages, ...(work.persist?.messages ?? []));
    seen.reads.push(...work.reads);
    seen.committed.push(...work.committed);
    if (work.persist !== undefined) node.persisted(work.persist.id);
    const last = work.committed.at(-1);
    if (last !== undefined) node.applied(last.index);
  }
  return seen;
}

function grant(node: RawNode, voters: readonly bigint[]): void {
  node.campaign();
  const { term } = node.status();
  for (const from of voters)
    node.step({ kind: 'pre-vote-reply', from, to: 1n, term: term + 1, granted: true });
  drain(node);
  if (node.status().role !== 'candidate') return;
  for (const from of voters) node.step({ kind: 'vote-reply', from, to: 1n, term: term + 1, granted: true });
}

const DATA = new Uint8Array(10);

describe('RawNode', () => {
  it('refuses proposals where it does not lead', () => {
    const node = freshNode({});
    expect(node.propose(DATA)).toEqual({ dropped: 'not-leader', leader: 0n });
    node.campaign();
    drain(node);
    expect(node.propose(DATA)).toEqual({ index: 2, term: 1 });
  });

  it('decides alone only when no one else votes, in either half', () => {
    const withLearner = freshNode({ learners: [2n] });
    withLearner.campaign();
    drain(withLearner);
    expect(withLearner.canReadLocally()).toBe(true);
    const joint = freshNode({ outgoing: [1n, 2n, 3n] });
    grant(joint, [2n]);
    drain(joint);
    expect(joint.status().role).toBe('leader');
    expect(joint.canReadLocally()).toBe(false);
  });

  it('wins and commits in a joint configuration only with both halves', () => {
    const node = freshNode({ voters: [1n, 2n, 3n], outgoing: [1n, 4n, 5n] });
    grant(node, [2n, 3n]);
    expect(node.status().role).toBe('pre-candidate');
    grant(node, [2n, 4n]);
    drain(node);
    expect(node.status().role).toBe('leader');
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 1 });
    node.step({ kind: 'append-reply', from: 3n, to: 1n, term: 1, index: 1 });
    expect(node.status().commit).toBe(0);
    node.step({ kind: 'append-reply', from: 5n, to: 1n, term: 1, index: 1 });
    expect(node.status().commit).toBe(1);
  });

  it('replicates to learners, but counts neither their votes nor their acknowledgements', () => {
    const node = freshNode({ voters: [1n, 2n, 3n], learners: [4n, 5n] });
    grant(node, [4n, 5n]);
    expect(node.status().role).toBe('pre-candidate');
    grant(node, [2n]);
    const { messages } = drain(node);
    expect(messages.filter(({ kind, to }) => kind === 'append' && to === 4n)).toHaveLength(1);
    for (const from of [4n, 5n]) node.step({ kind: 'append-reply', from, to: 1n, term: 1, index: 1 });
    expect(node.status().commit).toBe(0);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 1 });
    expect(node.status().commit).toBe(1);
    for (const from of [4n, 5n])
      node.step({ kind: 'heartbeat-reply', from, to: 1n, term: 1, readSequence: 0 });
    for (let tick = 0; tick < 20; tick += 1) node.tick();
    expect(node.status().role).toBe('follower');
  });

  it('never campaigns as a learner, but votes when asked', () => {
    const node = freshNode({ voters: [2n, 3n], learners: [1n] });
    for (let tick = 0; tick < 50; tick += 1) node.tick();
    node.campaign();
    expect(node.hasWork()).toBe(false);
    node.step({ kind: 'vote', from: 2n, to: 1n, term: 1, lastIndex: 0, lastTerm: 0, transfer: false });
    const { persist } = node.takeWork();
    expect(persist?.messages).toMatchObject([{ kind: 'vote-reply', granted: true, to: 2n }]);
  });

  it('ignores votes and acknowledgements of members that do not belong to the cluster', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    grant(node, [8n, 9n]);
    expect(node.status().role).toBe('pre-candidate');
    grant(node, [2n]);
    drain(node);
    for (const from of [8n, 9n]) node.step({ kind: 'append-reply', from, to: 1n, term: 1, index: 1 });
    expect(node.status().commit).toBe(0);
    node.step({ kind: 'stale-term', from: 8n, to: 1n, term: 7 });
    expect(node.status()).toMatchObject({ role: 'leader', term: 1, refusedMessages: 5 });
  });

  it('stops when another leads its term', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    grant(node, [2n]);
    drain(node);
    const heartbeat = { kind: 'heartbeat', from: 3n, to: 1n, term: 1, commit: 0, readSequence: 0 } as const;
    expect(() => node.step(heartbeat)).toThrow('invariant broken');
    const follower = freshNode({ voters: [1n, 2n, 3n] });
    follower.step({ ...heartbeat, from: 2n });
    expect(() => follower.step(heartbeat)).toThrow('a term has one leader');
  });

  it('stops when it has lost what it acknowledged', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    const heartbeat: Message = { kind: 'heartbeat', from: 2n, to: 1n, term: 1, commit: 5, readSequence: 0 };
    expect(() => node.step(heartbeat)).toThrow('lost or cut');
  });

  it('probes again when the host says that messages were lost', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    grant(node, [2n]);
    drain(node);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 1 });
    drain(node);
    node.propose(DATA);
    drain(node);
    node.sendFailed(2n);
    const { messages } = drain(node);
    expect(messages).toMatchObject([{ kind: 'append', to: 2n, previousIndex: 1, entries: [{ index: 2 }] }]);
    node.sendFailed(2n);
    expect(node.hasWork()).toBe(false);
  });

  it('joins all heartbeats of a turn into one', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    grant(node, [2n]);
    drain(node);
    for (let tick = 0; tick < 5; tick += 1) node.tick();
    const { messages } = drain(node);
    expect(messages.filter(({ kind }) => kind === 'heartbeat')).toHaveLength(2);
  });

  it('answers the reads of a turn with one round, and keeps few rounds under way', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    grant(node, [2n]);
    drain(node);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 1 });
    drain(node);
    let heartbeats = 0;
    for (let request = 0; request < 100; request += 1) {
      node.readIndex(BigInt(request));
      heartbeats += drain(node).messages.filter(({ kind }) => kind === 'heartbeat').length;
    }
    expect(heartbeats).toBeLessThanOrEqual(8);
    node.step({ kind: 'heartbeat-reply', from: 3n, to: 1n, term: 1, readSequence: 4 });
    const { messages, reads } = drain(node);
    expect(reads).toHaveLength(4);
    const [heartbeat] = messages.filter(({ kind }) => kind === 'heartbeat');
    expect(heartbeat).toMatchObject({ readSequence: 5 });
    node.step({ kind: 'heartbeat-reply', from: 3n, to: 1n, term: 1, readSequence: 5 });
    expect(drain(node).reads).toHaveLength(96);
    expect(node.status().pendingReads).toBe(0);
  });

  it('drops an acknowledgement of what it never sent', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    grant(node, [2n]);
    drain(node);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 9 });
    node.step({ kind: 'heartbeat-reply', from: 2n, to: 1n, term: 1, readSequence: 9 });
    expect(node.status()).toMatchObject({ commit: 0, refusedMessages: 2 });
  });

  it('takes a torn batch for what it is: entries of a term without its hard state', () => {
    const entries = [{ index: 1, term: 3, kind: 'normal', data: DATA } as const];
    const node = restartedNode({ term: 2, vote: 2n, commit: 0 }, entries, 0);
    expect(node.status()).toMatchObject({ term: 3, vote: 0n, lastIndex: 1 });
    expect(node.takeWork().persist).toMatchObject({ hardState: { term: 3, vote: 0n }, mustSync: true });
  });

  it('believes the state machine when its hard state lags', () => {
    const entries = [1, 2, 3].map((index) => ({ index, term: 1, kind: 'normal', data: DATA }) as const);
    const node = restartedNode({ term: 1, vote: 1n, commit: 1 }, entries, 2);
    expect(node.status()).toMatchObject({ commit: 2, applied: 2, persisted: 3 });
    expect(node.hasWork()).toBe(false);
    expect(() => restartedNode({ term: 1, vote: 1n, commit: 4 }, entries, 0)).toThrow('lost or cut');
  });

  it('keeps unapplied entries and those retained through a compaction', () => {
    const node = freshNode({}, { retainedEntries: 2 });
    node.campaign();
    drain(node);
    for (let count = 0; count < 9; count += 1) node.propose(DATA);
    drain(node);
    node.propose(DATA);
    node.compact(1_000);
    expect(node.status()).toMatchObject({ firstIndex: 9, lastIndex: 11, applied: 10 });
    expect(drain(node).committed.map(({ index }) => index)).toEqual([11]);
  });

  it.each<[string, Partial<RaftConfig>]>([
    ['id', { id: 0n }],
    ['electionTicks', { electionTicks: 1 }],
    ['heartbeatTicks', { heartbeatTicks: 0 }],
    ['unreachableDelayTicks', { unreachableDelayTicks: { min: 3, max: 2 } }],
    ['maxInflightMessages', { maxInflightMessages: 0 }],
  ])('refuses a config with a wrong %s', (_name, config) => {
    expect(() => freshNode({}, config)).toThrow('invariant broken');
  });
});
