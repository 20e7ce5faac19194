import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wireBytesMax } from './message-codec.js';
import { type Lane, type WireMessage } from './message-kinds.js';
import { OutgoingQueue } from './outgoing-queue.js';

const propose = (term: number, bytes: number): WireMessage => ({
  kind: 'propose',
  from: 1n,
  to: 2n,
  term,
  command: new Uint8Array(bytes),
});
const terms = (messages: readonly WireMessage[]): number[] => messages.map(({ term }) => term);

describe('a queue of messages', () => {
  it('gives up the oldest in the urgent lane and the newest in the bulk lane', () => {
    const outcome = (lane: Lane): { dropped: number[]; left: number[] } => {
      const queue = new OutgoingQueue(lane, 2 * wireBytesMax(propose(1, 100)));
      const dropped: WireMessage[] = [];
      for (const term of [1, 2, 3, 4]) queue.push(propose(term, 100), (message) => dropped.push(message));
      return { dropped: terms(dropped), left: terms(queue.take(Infinity)) };
    };
    expect(outcome('urgent')).toEqual({ dropped: [1, 2], left: [3, 4] });
    expect(outcome('bulk')).toEqual({ dropped: [3, 4], left: [1, 2] });
  });

  it('takes one message that is larger than all it may hold, and sends it alone', () => {
    for (const lane of ['urgent', 'bulk'] as const) {
      const queue = new OutgoingQueue(lane, 100);
      queue.push(propose(1, 10_000), () => expect.unreachable());
      expect(terms(queue.take(1))).toEqual([1]);
      expect(queue.bytes).toBe(0);
    }
  });

  it('loses and repeats nothing beside what it says it dropped, keeps the order and its bound', () => {
    const step = fc.oneof(
      fc.record({ push: fc.nat(400) }),
      fc.record({ take: fc.nat(1_500) }),
      fc.constant({ clear: true as const }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom<Lane>('urgent', 'bulk'),
        fc.array(step, { maxLength: 600 }),
        (lane, steps) => {
          const queue = new OutgoingQueue(lane, 1_000);
          let model: WireMessage[] = [];
          let next = 1;
          for (const each of steps) {
            if ('push' in each) {
              const message = propose(next++, each.push);
              model.push(message);
              queue.push(message, (dropped) => (model = model.filter((kept) => kept !== dropped)));
            } else if ('take' in each) {
              const taken = queue.take(each.take);
              expect(taken).toEqual(model.splice(0, taken.length));
              expect(taken.length > 0 || model.length === 0).toBe(true);
            } else {
              queue.clear();
              model = [];
            }
            expect(queue.length).toBe(model.length);
            expect(queue.bytes).toBe(model.reduce((sum, message) => sum + wireBytesMax(message), 0));
            expect(queue.bytes <= 1_000 || queue.length === 1).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
