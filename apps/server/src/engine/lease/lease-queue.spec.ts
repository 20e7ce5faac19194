import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { LeaseQueue, type Queued } from './lease-queue.js';

it('always has the member that is due first in front, whatever is added, moved and removed', () => {
  const operation = fc.record({
    kind: fc.constantFrom('add', 'move', 'remove'),
    who: fc.nat(19),
    due: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const queue = new LeaseQueue<Queued>();
      const members = Array.from({ length: 20 }, (): Queued => ({ dueAtMs: 0, place: -1 }));
      const inside = new Set<Queued>();
      for (const { kind, who, due } of operations) {
        const member = members[who];
        if (kind === 'add' && !inside.has(member)) {
          queue.add(member, due);
          inside.add(member);
        } else if (kind === 'move' && inside.has(member)) {
          queue.move(member, due);
        } else if (kind === 'remove' && inside.delete(member)) {
          queue.remove(member);
          expect(member.place).toBe(-1);
        }
        expect(queue.size).toBe(inside.size);
        const first = inside.size === 0 ? undefined : Math.min(...[...inside].map((each) => each.dueAtMs));
        expect(queue.peek()?.dueAtMs).toBe(first);
      }
    }),
  );
});

it('refuses a member that is in another queue', () => {
  const member: Queued = { dueAtMs: 0, place: -1 };
  new LeaseQueue<Queued>().add(member, 1);
  expect(() => new LeaseQueue<Queued>().add(member, 1)).toThrow(/one queue/);
});
