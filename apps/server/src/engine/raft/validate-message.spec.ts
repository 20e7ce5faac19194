import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, type Message } from './message.js';
import { type RawNode } from './raw-node.js';
import { freshNode } from './testing/fresh-node.js';
import { isAcceptable } from './validate-message.js';

const entry: Entry = { index: 3, term: 2, kind: 'normal', data: new Uint8Array(1) };
const envelope = { from: 2n, to: 1n, term: 3 };
const append: Message = {
  ...envelope,
  kind: 'append',
  previousIndex: 2,
  previousTerm: 1,
  entries: [entry, { ...entry, index: 4, term: 3 }],
  commit: 1,
};

describe('isAcceptable', () => {
  it('takes messages that make sense', () => {
    expect(isAcceptable(append, 1n)).toBe(true);
    expect(isAcceptable({ ...envelope, kind: 'vote', lastIndex: 0, lastTerm: 0, transfer: false }, 1n)).toBe(
      true,
    );
    expect(isAcceptable({ ...envelope, kind: 'stale-term' }, 1n)).toBe(true);
  });

  it.each<[string, Message]>([
    ['for another member', { ...append, to: 3n }],
    ['from itself', { ...append, from: 1n }],
    ['from no one', { ...append, from: 0n }],
    ['without a term', { ...append, term: 0 }],
    ['with half a term', { ...append, term: 2.5 }],
    ['with a term beyond safe integers', { ...append, term: 2 ** 53 }],
    ['with a gap between its entries', { ...append, entries: [entry, { ...entry, index: 5 }] }],
    ['with a gap before its entries', { ...append, previousIndex: 1 }],
    ['with terms that fall', { ...append, entries: [entry, { ...entry, index: 4, term: 1 }] }],
    ['with an entry below the previous term', { ...append, previousTerm: 3 }],
    ['with an entry of a later term', { ...append, term: 2 }],
    ['with a negative commit', { ...append, commit: -1 }],
    ['with an index but no term', { ...append, previousTerm: 0 }],
    [
      'with a vote for a log of its own term',
      { ...envelope, kind: 'vote', lastIndex: 1, lastTerm: 3, transfer: false },
    ],
    ['with NaN', { ...envelope, kind: 'append-reply', index: Number.NaN }],
    [
      'with a hint above the question',
      {
        ...envelope,
        kind: 'append-rejection',
        previousIndex: 3,
        hintIndex: 4,
        hintTerm: 1,
        needsState: false,
      },
    ],
  ])('drops a message %s', (_name, message) => {
    expect(isAcceptable(message, 1n)).toBe(false);
    const node = freshNode({ voters: [1n, 2n, 3n] });
    node.step(message);
    expect(node.status()).toMatchObject({ refusedMessages: 1, term: 0 });
  });
});

describe('a state that arrived', () => {
  const confState = { voters: [1n, 2n], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
  const snapshot: Message = { ...envelope, kind: 'snapshot', index: 7, snapshotTerm: 3, confState };

  it('is taken by the members that its configuration names', () => {
    expect(isAcceptable(snapshot, 1n)).toBe(true);
    const asLearner = { ...confState, voters: [2n], learners: [1n] };
    expect(isAcceptable({ ...snapshot, confState: asLearner }, 1n)).toBe(true);
  });

  it.each<[string, Message]>([
    ['of nothing', { ...snapshot, index: 0, snapshotTerm: 0 }],
    ['of a later term than its sender', { ...snapshot, snapshotTerm: 4 }],
    [
      'whose configuration does not name the receiver',
      { ...snapshot, confState: { ...confState, voters: [2n] } },
    ],
    ['without a voter', { ...snapshot, confState: { ...confState, voters: [], learners: [1n] } }],
    ['with a member twice', { ...snapshot, confState: { ...confState, voters: [1n, 1n] } }],
  ])('is dropped %s', (_name, message) => {
    expect(isAcceptable(message, 1n)).toBe(false);
  });
});

describe('a member that is fed nonsense', () => {
  it('neither throws nor changes what it committed', () => {
    const number = fc.oneof(
      fc.nat(5),
      fc.constantFrom(-1, 1.5, Number.NaN, 2 ** 53, Number.MAX_SAFE_INTEGER),
    );
    const replies = fc.constantFrom(
      'append-reply',
      'append-rejection',
      'heartbeat-reply',
      'read-index-reply',
      'timeout-now',
    );
    const message = fc.record({
      kind: fc.oneof(
        replies,
        fc.constantFrom('vote-reply', 'pre-vote-reply', 'read-index', 'vote', 'pre-vote'),
      ),
      from: fc.constantFrom(0n, 1n, 2n, 3n, 9n),
      to: fc.constantFrom(1n, 2n),
      term: fc.oneof(fc.constant(1), number),
      index: number,
      previousIndex: number,
      hintIndex: number,
      hintTerm: number,
      lastIndex: number,
      lastTerm: number,
      readSequence: number,
      request: number,
      sequence: number,
      granted: fc.boolean(),
      transfer: fc.boolean(),
      needsState: fc.boolean(),
    });
    const property = fc.property(fc.array(message, { maxLength: 40 }), fc.boolean(), (messages, isLeader) => {
      const node = freshNode({ voters: [1n, 2n, 3n] });
      if (isLeader) lead(node);
      for (const each of messages) {
        node.step(each as unknown as Message);
        while (node.hasWork()) {
          const { persist } = node.takeWork();
          if (persist !== undefined) node.persisted(persist.id);
        }
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});

/** Makes member 1 the leader of term 1. */
function lead(node: RawNode): void {
  node.campaign();
  node.step({ kind: 'pre-vote-reply', from: 2n, to: 1n, term: 1, granted: true });
  const { persist } = node.takeWork();
  node.persisted(persist!.id);
  node.step({ kind: 'vote-reply', from: 2n, to: 1n, term: 1, granted: true });
  expect(node.status().role).toBe('leader');
}
