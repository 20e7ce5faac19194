import { describe, expect, it } from 'vitest';
import { encodeConfChange, type SingleChange } from './confchange/conf-change.js';
import { type ConfState, type Entry, type Message, type Snapshot } from './message.js';
import { type RawNode } from './raw-node.js';
import { freshNode, restartedNode } from './testing/fresh-node.js';
import { type Work } from './work.js';

const NO_CONTEXT = new Uint8Array(0);
const THREE: ConfState = {
  voters: [1n, 2n, 3n],
  learners: [],
  outgoing: [],
  learnersNext: [],
  autoLeave: false,
};
const STATE: Snapshot = {
  kind: 'snapshot',
  from: 2n,
  to: 1n,
  term: 1,
  index: 9,
  snapshotTerm: 1,
  confState: THREE,
};

function change(...changes: SingleChange[]): {
  data: Uint8Array;
  change: Parameters<RawNode['applyConfChange']>[0];
} {
  const whole = { changes, transition: 'auto', context: NO_CONTEXT } as const;
  return { data: encodeConfChange(whole), change: whole };
}

/** Everything that leaves or is to be done, with an instant disk and nothing applied. */
function drain(node: RawNode): Work[] {
  const works: Work[] = [];
  while (node.hasWork()) {
    const work = node.takeWork();
    works.push(work);
    if (work.persist !== undefined) node.persisted(work.persist.id);
  }
  return works;
}

function sent(node: RawNode): Message[] {
  return drain(node).flatMap(({ messages, persist }) => [...messages, ...(persist?.messages ?? [])]);
}

/** Member 1 alone, leader of term 1, with its first entry applied. */
function loneLeader(): RawNode {
  const node = freshNode({});
  node.campaign();
  drain(node);
  node.applied(1);
  return node;
}

describe('a membership change', () => {
  it('is decided on once, and before it counts as applied', () => {
    const node = loneLeader();
    const added = change({ type: 'add-learner', member: 2n });
    expect(node.propose(added.data, 'config')).toMatchObject({ index: 2 });
    expect(() => node.applyConfChange(added.change)).toThrow('handed out');
    drain(node);
    expect(() => node.applied(2)).toThrow('decided on before');
    expect(node.applyConfChange(added.change).learners).toEqual([2n]);
    expect(() => node.applyConfChange(added.change)).toThrow('handed out');
    node.applied(2);
    expect(node.status().progress).toMatchObject([
      { member: 1n },
      { member: 2n, isLearner: true, recentActive: true },
    ]);
  });

  it('changes nothing when the state machine or the configuration refuses it', () => {
    const node = loneLeader();
    const added = change({ type: 'add-voter', member: 1n });
    for (const verdict of [undefined, added.change]) {
      node.propose(added.data, 'config');
      drain(node);
      expect(node.applyConfChange(verdict).voters).toEqual([1n]);
      node.applied(node.status().commit);
    }
  });

  it('is one, until it is decided on', () => {
    const node = loneLeader();
    const { data } = change({ type: 'add-learner', member: 2n });
    node.propose(data, 'config');
    expect(node.propose(data, 'config')).toEqual({ dropped: 'config-change-pending', leader: 1n });
    drain(node);
    expect(node.propose(data, 'config')).toEqual({ dropped: 'config-change-pending', leader: 1n });
    node.applyConfChange(undefined);
    node.applied(2);
    expect(node.propose(data, 'config')).toMatchObject({ index: 3 });
  });

  it('is not proposed when its data are none', () => {
    expect(() => loneLeader().propose(new Uint8Array(3), 'config')).toThrow('cut off');
  });

  it('lets fewer members commit when one leaves', () => {
    const node = freshNode({ voters: [1n, 2n] });
    node.campaign();
    node.step({ kind: 'pre-vote-reply', from: 2n, to: 1n, term: 1, granted: true });
    drain(node);
    node.step({ kind: 'vote-reply', from: 2n, to: 1n, term: 1, granted: true });
    drain(node);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 1 });
    drain(node);
    const removal = change({ type: 'remove', member: 2n });
    node.propose(removal.data, 'config');
    node.propose(new Uint8Array(1));
    drain(node);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 2 });
    drain(node);
    expect(node.status().commit).toBe(2);
    node.applied(1);
    node.applyConfChange(removal.change);
    expect(node.status().commit).toBe(3);
    node.step({ kind: 'append-reply', from: 2n, to: 1n, term: 1, index: 3 });
    expect(node.status()).toMatchObject({ refusedMessages: 1 });
  });

  it('is known to be committed by a log that holds another one behind it', () => {
    const { data } = change({ type: 'add-learner', member: 4n });
    const entries: Entry[] = [1, 2, 3].map((index) => ({ index, term: 1, kind: 'config', data }));
    const node = restartedNode({ term: 1, vote: 0n, commit: 0 }, entries, 0);
    expect(node.status().commit).toBe(2);
    node.campaign();
    expect(node.status().role).toBe('follower');
    expect(drain(node).flatMap(({ committed }) => committed)).toHaveLength(2);
    node.applyConfChange(undefined);
    node.campaign();
    expect(node.status().role).toBe('follower');
    node.applyConfChange(undefined);
    node.campaign();
    expect(node.status().role).toBe('pre-candidate');
  });
});

describe('the privilege of a transfer', () => {
  const vote = { kind: 'vote', to: 1n, term: 5, lastIndex: 0, lastTerm: 0 } as const;

  it('passes the lease of the leader, for voters only', () => {
    const node = freshNode({ voters: [1n, 2n, 3n], learners: [4n] });
    node.step({ kind: 'heartbeat', from: 2n, to: 1n, term: 1, commit: 0, readSequence: 0 });
    for (const from of [4n, 9n]) node.step({ ...vote, from, transfer: true });
    node.step({ ...vote, from: 3n, transfer: false });
    expect(node.status()).toMatchObject({ term: 1, leader: 2n });
    node.step({ ...vote, from: 3n, transfer: true });
    expect(node.status()).toMatchObject({ term: 5, vote: 3n });
  });

  it('is given by the leader alone', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    node.step({ kind: 'heartbeat', from: 2n, to: 1n, term: 1, commit: 0, readSequence: 0 });
    node.step({ kind: 'timeout-now', from: 3n, to: 1n, term: 1 });
    expect(node.status()).toMatchObject({ role: 'follower', refusedMessages: 1 });
    node.step({ kind: 'timeout-now', from: 2n, to: 1n, term: 1 });
    expect(node.status()).toMatchObject({ role: 'candidate', term: 2 });
  });

  it('is nothing to a learner', () => {
    const node = freshNode({ voters: [2n, 3n], learners: [1n] });
    node.step({ kind: 'timeout-now', from: 2n, to: 1n, term: 1 });
    expect(node.status()).toMatchObject({ role: 'follower', term: 1 });
  });
});

describe('the installation of a state', () => {
  it('holds everything back that it or the disk must cover, until it is durable', () => {
    const node = freshNode(THREE);
    node.step(STATE);
    const [work] = drain(node);
    expect(work).toMatchObject({ persist: undefined, messages: [], install: { index: 9, term: 1 } });
    node.step({ kind: 'vote', from: 3n, to: 1n, term: 4, lastIndex: 20, lastTerm: 3, transfer: false });
    node.step({ kind: 'heartbeat', from: 3n, to: 1n, term: 4, commit: 0, readSequence: 0 });
    node.compact(100);
    node.tick();
    expect(sent(node)).toEqual([]);
    node.installed(9);
    expect(node.status()).toMatchObject({ commit: 9, applied: 9, firstIndex: 10, persisted: 9 });
    expect(sent(node)).toMatchObject([{ kind: 'vote-reply', granted: true }, { kind: 'heartbeat-reply' }]);
  });

  it('brings its configuration with it', () => {
    const node = freshNode({ voters: [] });
    node.step(STATE);
    drain(node);
    expect(node.status().confState.voters).toEqual([]);
    node.campaign();
    node.installed(9);
    expect(node.status()).toMatchObject({ confState: THREE, role: 'follower' });
    expect(sent(node)).toMatchObject([{ kind: 'append-reply', to: 2n, index: 9 }]);
    node.campaign();
    expect(node.status().role).toBe('pre-candidate');
  });

  it('makes nothing of batches that were under way for the log that is gone', () => {
    const node = freshNode(THREE);
    const entries = [1, 2].map((index): Entry => ({ index, term: 1, kind: 'normal', data: NO_CONTEXT }));
    const append = { kind: 'append', from: 2n, to: 1n, term: 1, previousIndex: 0, previousTerm: 0 } as const;
    node.step({ ...append, entries, commit: 0 });
    const { persist } = node.takeWork();
    node.step(STATE);
    drain(node);
    node.persisted(persist!.id);
    expect(node.status().persisted).toBe(0);
    node.installed(9);
    expect(node.status().persisted).toBe(9);
  });

  it('is reported once, for the state that was asked for', () => {
    const node = freshNode(THREE);
    expect(() => node.installed(9)).toThrow('is being installed');
    node.step(STATE);
    expect(() => node.installed(9)).toThrow('was told');
    drain(node);
    expect(() => node.installed(8)).toThrow('is being installed');
    node.installed(9);
    expect(() => node.installed(9)).toThrow('is being installed');
  });

  it('does not wait for the entries that were handed out before', () => {
    const node = freshNode(THREE);
    const { data } = change({ type: 'add-learner', member: 4n });
    const entries: Entry[] = [
      { index: 1, term: 1, kind: 'config', data },
      { index: 2, term: 1, kind: 'config', data },
    ];
    const append = { kind: 'append', from: 2n, to: 1n, term: 1, previousIndex: 0, previousTerm: 0 } as const;
    node.step({ ...append, entries, commit: 1 });
    drain(node);
    node.step(STATE);
    drain(node);
    node.applyConfChange(undefined);
    node.applied(1);
    node.installed(9);
    expect(node.status()).toMatchObject({ applied: 9, confState: THREE });
  });
});
