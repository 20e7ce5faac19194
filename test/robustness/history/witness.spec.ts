import { describe, expect, it } from 'vitest';
import { type FoundKey, type Operation, type Outcome, type Request } from './operation.js';
import { hearWitness } from './witness.js';

/** An operation from one moment to another one. */
function call(id: string, from: number, to: number, request: Request, outcome: Outcome): Operation {
  return { id, request, outcome, calledAt: from, answeredAt: to, sentMs: from, answeredMs: to };
}

function done(revision: number, more: Partial<Outcome & { kind: 'done' }> = {}): Outcome {
  return { kind: 'done', revision, ...more };
}

function key(name: string, writer: string, modRevision: number): FoundKey {
  return { key: name, writer, bytes: 2, createRevision: 2, modRevision, version: 1, lease: 0n };
}

const lost: Outcome = { kind: 'unknown', reason: 'connection lost' };
const put = (name: string): Request => ({ kind: 'put', key: name, lease: 0n, padding: 0 });
const read = (name: string): Request => ({ kind: 'read', key: name });
const a = 'plain/a';
const b = 'plain/b';

/** Puts, a lost one that took place, a swap each way, a batch and a delete, all in order. */
const good: Operation[] = [
  call('one', 1, 2, put(a), done(2)),
  call('seen', 3, 4, read(a), done(2, { found: key(a, 'one', 2) })),
  call('two', 5, 50, put(a), lost),
  call('late', 6, 7, read(a), done(3, { found: key(a, 'two', 3) })),
  call('swap', 8, 9, { kind: 'swap', key: a, expected: 3 }, done(4, { succeeded: true })),
  call(
    'miss',
    10,
    11,
    { kind: 'swap', key: a, expected: 3 },
    done(4, { succeeded: false, found: key(a, 'swap', 4) }),
  ),
  call('both', 12, 13, { kind: 'batch', puts: [b], remove: a }, done(5, { deleted: 1 })),
  call('gone', 14, 15, read(a), done(5)),
  call('drop', 16, 17, { kind: 'delete', key: b }, done(6, { deleted: 1 })),
];

/** The good history with one answer that differs. */
function but(id: string, change: Partial<Operation>): Operation[] {
  return good.map((operation) => (operation.id === id ? { ...operation, ...change } : operation));
}

describe('the witness', () => {
  it('finds an order for what a store may answer', () => {
    expect(hearWitness(good, 'plain/')).toEqual([]);
  });

  it.each<[string, Operation[]]>([
    [
      'a read of what was overwritten before it',
      but('late', { outcome: done(2, { found: key(a, 'other', 2) }) }),
    ],
    ['a read that misses an acknowledged write', but('seen', { outcome: done(2) })],
    ['a read of what was removed', but('gone', { outcome: done(4, { found: key(a, 'swap', 4) }) })],
    ['a swap that should have failed', but('miss', { outcome: done(5, { succeeded: true }) })],
    ['a delete that found nothing', but('drop', { outcome: done(5, { deleted: 0 }) })],
    [
      'a write that took place although it was refused',
      but('two', { outcome: { kind: 'failed', reason: '' } }),
    ],
  ])('finds none for %s', (_, history) => {
    expect(hearWitness(history, 'plain/')).toEqual([expect.stringMatching(/^no order explains/)]);
  });
});
