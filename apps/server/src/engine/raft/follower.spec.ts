import { describe, expect, it } from 'vitest';
import { type Entry, type Message } from './message.js';
import { type RawNode } from './raw-node.js';
import { freshNode } from './testing/fresh-node.js';

function entries(from: number, ...terms: readonly number[]): Entry[] {
  return terms.map((term, at) => ({ index: from + at, term, kind: 'normal', data: new Uint8Array(1) }));
}

function append(
  term: number,
  previous: Pick<Entry, 'index' | 'term'>,
  list: readonly Entry[],
  commit: number,
): Message {
  const { index: previousIndex, term: previousTerm } = previous;
  return { kind: 'append', from: 2n, to: 1n, term, previousIndex, previousTerm, entries: list, commit };
}

/** What leaves when the disk has done everything. */
function answers(node: RawNode): Message[] {
  const messages: Message[] = [];
  while (node.hasWork()) {
    const work = node.takeWork();
    messages.push(...work.messages, ...(work.persist?.messages ?? []));
    if (work.persist !== undefined) node.persisted(work.persist.id);
  }
  return messages;
}

/** A follower of a cluster of three with these terms in its log, from index 1 on. */
function followerWith(...terms: readonly number[]): RawNode {
  const node = freshNode({ voters: [1n, 2n, 3n] });
  node.step(append(terms.at(-1)!, { index: 0, term: 0 }, entries(1, ...terms), 0));
  answers(node);
  return node;
}

describe('a follower', () => {
  it('commits no further than the append has shown its log to agree', () => {
    const node = followerWith(1, 1, 1);
    node.step(append(2, { index: 1, term: 1 }, [], 3));
    expect(node.status()).toMatchObject({ commit: 1, lastIndex: 3 });
  });

  it('acknowledges no further than the append has shown its log to agree', () => {
    const node = followerWith(1, 1, 1);
    node.step(append(2, { index: 0, term: 0 }, entries(1, 1), 0));
    expect(answers(node)).toMatchObject([{ kind: 'append-reply', index: 1 }]);
  });

  it('answers an old append with everything that is committed', () => {
    const node = followerWith(1, 1, 1);
    node.step(append(1, { index: 3, term: 1 }, [], 3));
    answers(node);
    node.step(append(1, { index: 0, term: 0 }, entries(1, 1), 1));
    expect(answers(node)).toMatchObject([{ kind: 'append-reply', index: 3 }]);
  });

  it('takes an append that begins before what it has forgotten', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] }, { retainedEntries: 0 });
    node.step(append(1, { index: 0, term: 0 }, entries(1, 1, 1, 1), 3));
    answers(node);
    node.applied(3);
    node.compact(3);
    expect(node.status().firstIndex).toBe(4);
    node.step(append(1, { index: 1, term: 1 }, entries(2, 1, 1, 1), 3));
    expect(answers(node)).toMatchObject([{ kind: 'append-reply', index: 4 }]);
    expect(node.status()).toMatchObject({ lastIndex: 4, commit: 3 });
  });

  it('stops when a leader contradicts a committed entry', () => {
    const node = followerWith(1, 1);
    node.step(append(1, { index: 2, term: 1 }, [], 2));
    expect(() => node.step(append(3, { index: 1, term: 1 }, entries(2, 2), 2))).toThrow('never replaced');
    const other = followerWith(1, 1);
    other.step(append(1, { index: 2, term: 1 }, [], 2));
    expect(() => other.step(append(3, { index: 2, term: 2 }, [], 2))).toThrow('every committed entry');
  });

  it('hints at the last index whose term the leader can share', () => {
    const node = followerWith(1, 1, 3, 3);
    node.step(append(4, { index: 4, term: 2 }, [], 0));
    expect(answers(node)).toMatchObject([
      { kind: 'append-rejection', previousIndex: 4, hintIndex: 2, hintTerm: 1 },
    ]);
    node.step(append(4, { index: 9, term: 4 }, [], 0));
    expect(answers(node)).toMatchObject([
      { kind: 'append-rejection', previousIndex: 9, hintIndex: 4, hintTerm: 3 },
    ]);
  });

  it('waits anew after it has given its vote', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    node.step({ kind: 'append-reply', from: 3n, to: 1n, term: 1, index: 0 });
    for (let tick = 0; tick < 9; tick += 1) node.tick();
    node.step({ kind: 'vote', from: 2n, to: 1n, term: 1, lastIndex: 0, lastTerm: 0, transfer: false });
    expect(answers(node)).toMatchObject([{ kind: 'vote-reply', granted: true }]);
    for (let tick = 0; tick < 9; tick += 1) node.tick();
    expect(node.status().role).toBe('follower');
  });

  it('gives its vote again to the same candidate, and to no other', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    const vote = { kind: 'vote', to: 1n, term: 1, lastIndex: 0, lastTerm: 0, transfer: false } as const;
    const given = [2n, 3n, 2n].map((from) => {
      node.step({ ...vote, from });
      return answers(node)[0];
    });
    expect(given).toMatchObject([{ granted: true }, { granted: false }, { granted: true }]);
  });

  it('refuses reads that it is asked for, because it does not lead', () => {
    const node = followerWith(1);
    node.step({ kind: 'read-index', from: 3n, to: 1n, term: 1, request: 5 });
    expect(answers(node)).toMatchObject([{ kind: 'read-index-refusal', to: 3n, request: 5 }]);
  });
});

describe('a pre-candidate', () => {
  it('counts only answers to the term that it asks for', () => {
    const node = freshNode({ voters: [1n, 2n, 3n, 4n, 5n] });
    node.step({ kind: 'append-reply', from: 3n, to: 1n, term: 4, index: 0 });
    node.campaign();
    const reply = { kind: 'pre-vote-reply', to: 1n, granted: true } as const;
    node.step({ ...reply, from: 2n, term: 4 });
    node.step({ ...reply, from: 3n, term: 7 });
    expect(node.status()).toMatchObject({ role: 'pre-candidate', term: 4 });
    node.step({ ...reply, from: 4n, term: 5 });
    node.step({ ...reply, from: 5n, term: 5 });
    expect(node.status()).toMatchObject({ role: 'candidate', term: 5 });
  });

  it('gives up when a quorum refuses, and follows a leader of its term', () => {
    const node = freshNode({ voters: [1n, 2n, 3n] });
    node.step({ kind: 'append-reply', from: 3n, to: 1n, term: 4, index: 0 });
    node.campaign();
    for (const from of [2n, 3n]) node.step({ kind: 'pre-vote-reply', from, to: 1n, term: 4, granted: false });
    expect(node.status().role).toBe('follower');
    node.campaign();
    node.step({ kind: 'heartbeat', from: 2n, to: 1n, term: 4, commit: 0, readSequence: 0 });
    expect(node.status()).toMatchObject({ role: 'follower', leader: 2n, term: 4 });
  });
});
