import { describe, expect, it } from 'vitest';
import { checkHistory } from './history-checker.js';
import {
  type FoundKey,
  type History,
  type Operation,
  type Outcome,
  type Request,
  type SeenEvent,
  valueOf,
} from './operation.js';
import { deletion } from './store-model.js';

/** A history that can be spoiled. */
interface Draft {
  operations: Operation[];
  log: SeenEvent[];
  watched: SeenEvent[];
  snapshot: FoundKey[];
  arrivalMs: Map<number, number>;
}

const done = (revision: number, more: object = {}): Outcome => ({ kind: 'done', revision, ...more });
const unknown: Outcome = { kind: 'unknown', reason: 'the connection was lost' };

function written(
  key: string,
  writer: string,
  create: number,
  mod: number,
  version: number,
  lease = 0n,
): SeenEvent {
  const bytes = valueOf(writer, 0).length;
  return { kind: 'put', key, writer, bytes, createRevision: create, modRevision: mod, version, lease };
}

function found({ kind: _, ...key }: SeenEvent): FoundKey {
  return key;
}

/** What a faultless member would do with one operation of each kind, called one after the other, two of them unanswered. */
function goodHistory(): Draft {
  const operations: Operation[] = [];
  const called = (id: string, request: Request, outcome: Outcome): void => {
    const calledAt = operations.length * 2;
    const sentMs = calledAt * 1_000;
    const answeredMs = sentMs + 1_000;
    operations.push({ id, request, calledAt, answeredAt: calledAt + 1, sentMs, answeredMs, outcome });
  };
  const put = (key: string, lease = 0n): Request => ({ kind: 'put', key, lease, padding: 0 });
  const first = written('a', 'one', 2, 2, 1);
  const swapped = written('a', 'swap', 2, 4, 2);
  called('one', put('a'), done(2));
  called('batch', { kind: 'batch', puts: ['b', 'c'], remove: undefined }, done(3));
  called('read', { kind: 'read', key: 'a' }, done(3, { found: found(first) }));
  called('swap', { kind: 'swap', key: 'a', expected: 2 }, done(4, { succeeded: true }));
  called(
    'late',
    { kind: 'swap', key: 'a', expected: 2 },
    done(4, { succeeded: false, found: found(swapped) }),
  );
  called('grant', { kind: 'grant', lease: 7n, ttlSeconds: 2 }, done(4));
  called('leased', put('d', 7n), done(5));
  called('revoke', { kind: 'revoke', lease: 7n }, done(6));
  called('delete', { kind: 'delete', key: 'b' }, done(7, { deleted: 1 }));
  called('nothing', { kind: 'delete', key: 'b' }, done(7, { deleted: 0 }));
  called('maybe', put('e'), unknown);
  called('never', put('e'), unknown);
  called('refused', put('e', 9n), { kind: 'failed', reason: 'there is no such lease' });
  called('grant2', { kind: 'grant', lease: 8n, ttlSeconds: 2 }, done(8));
  called('leased2', put('f', 8n), done(9));
  called('local', { kind: 'read', key: 'a', isLocal: true }, done(2, { found: found(first) }));
  called('renewed', { kind: 'renew', lease: 8n }, done(3, { ttlSeconds: 2 }));
  const log = [
    first,
    written('b', 'batch', 3, 3, 1),
    written('c', 'batch', 3, 3, 1),
    swapped,
    written('d', 'leased', 5, 5, 1, 7n),
    deletion('d', 6),
    deletion('b', 7),
    written('e', 'maybe', 8, 8, 1),
    written('f', 'leased2', 9, 9, 1, 8n),
    deletion('f', 10),
  ];
  const snapshot = [swapped, log[1], log[2], log[4]].map(found);
  const arrivalMs = new Map([[10, 32_000 + 2_000]]);
  return { operations, log, watched: log.filter(({ key }) => key !== 'a'), snapshot, arrivalMs };
}

function check({ operations, log, watched, snapshot, arrivalMs }: Draft): string[] {
  const watch = { name: 'w', from: 1, matches: (key: string) => key !== 'a', events: watched };
  const history: History = {
    operations,
    log,
    watches: [watch],
    snapshots: [{ taken: 'once', revision: 5, keys: snapshot }],
    arrivalMs,
  };
  return checkHistory(history);
}

/** Changes an operation of the draft. */
function change(draft: Draft, id: string, changes: Partial<Operation>): void {
  const place = draft.operations.findIndex((operation) => operation.id === id);
  draft.operations[place] = { ...draft.operations[place], ...changes };
}

/** One thing that a member or a disk could do wrong, each; and what the checker says. */
const spoiled: readonly (readonly [string, RegExp, (draft: Draft) => void])[] = [
  [
    'an acknowledged write is lost at the end',
    /leased2.*not in the log|leased2.*not there/,
    (d) => d.log.splice(8),
  ],
  [
    'an acknowledged write is replaced',
    /leased2 .*is not there/,
    (d) => (d.log[8] = written('f', 'never', 9, 9, 1)),
  ],
  ['a revision is missing', /goes from revision 3 to 5/, (d) => d.log.splice(3, 1)],
  ['a revision goes back', /goes from revision 10 to 9/, (d) => d.log.push(written('g', 'never', 9, 9, 1))],
  [
    'a revision is another than was said',
    /acknowledged at revision 3, but/,
    (d) => change(d, 'one', { outcome: done(3) }),
  ],
  ['a write takes place twice', /took place twice/, (d) => d.log.push(written('e', 'maybe', 8, 11, 2))],
  ['a refused write takes place', /refused failed/, (d) => d.log.push(written('e', 'refused', 8, 11, 2, 9n))],
  ['a write comes from nobody', /never called/, (d) => d.log.push(written('e', 'ghost', 8, 11, 2))],
  ['a create revision is wrong', /revision 4 should have/, (d) => (d.log[3] = written('a', 'swap', 4, 4, 2))],
  ['a version is wrong', /revision 4 should have/, (d) => (d.log[3] = written('a', 'swap', 2, 4, 1))],
  ['a value is cut', /revision 4 should have/, (d) => (d.log[3] = { ...d.log[3], bytes: 1 })],
  ['a lease is forgotten', /revision 5 should have/, (d) => (d.log[4] = written('d', 'leased', 5, 5, 1))],
  ['half of a transaction is lost', /revision 3 should have/, (d) => d.log.splice(2, 1)],
  ['two transactions are one', /mixes the writes/, (d) => (d.log[2] = written('c', 'never', 3, 3, 1))],
  ['a key vanishes', /nobody asked/, (d) => d.log.push(deletion('c', 11))],
  ['a deletion removes another key', /revision 7 should have/, (d) => (d.log[6] = deletion('c', 7))],
  ['a lease ends early', /lease 8 expired/, (d) => d.arrivalMs.set(10, 33_999)],
  [
    'a lease is said to be gone before it may end',
    /renewed was told that lease 8 is gone/,
    (d) => {
      change(d, 'renewed', { outcome: done(3, { ttlSeconds: 0 }), answeredMs: 27_999 });
    },
  ],
  [
    'a lease is renewed that had been revoked',
    /renewed renewed lease 7, which revoke/,
    (d) => change(d, 'renewed', { request: { kind: 'renew', lease: 7n } }),
  ],
  [
    'a follower tells what was never committed',
    /^local read/,
    (d) => change(d, 'local', { outcome: done(2, { found: found(d.log[3]) }) }),
  ],
  [
    'a follower tells of a revision that is lost',
    /^read has revision 3, although batch had been answered at 11/,
    (d) => change(d, 'batch', { request: { kind: 'read', key: 'z', isLocal: true }, outcome: done(11) }),
  ],
  [
    'a revoked lease keeps its key',
    /keys of it are still there/,
    (d) => d.log.splice(5, 5, written('d', 'maybe', 5, 6, 2, 7n)),
  ],
  [
    'a read is stale',
    /^read has revision 2/,
    (d) => change(d, 'read', { outcome: done(2, { found: found(d.log[0]) }) }),
  ],
  ['a read finds nothing', /^read read no key/, (d) => change(d, 'read', { outcome: done(3) })],
  [
    'a read sees the future',
    /^read read/,
    (d) => change(d, 'read', { outcome: done(3, { found: found(d.log[3]) }) }),
  ],
  [
    'a comparison that holds fails',
    /nobody had changed/,
    (d) => change(d, 'late', { request: { kind: 'swap', key: 'a', expected: 4 } }),
  ],
  [
    'a comparison that fails holds',
    /revision 4 should have/,
    (d) => change(d, 'swap', { request: { kind: 'swap', key: 'a', expected: 1 } }),
  ],
  [
    'a deletion overlooks a key',
    /found nothing to delete/,
    (d) => change(d, 'nothing', { outcome: done(6, { deleted: 0 }) }),
  ],
  [
    'an answer comes from the future',
    /not in the log/,
    (d) => change(d, 'nothing', { outcome: done(11, { deleted: 0 }) }),
  ],
  [
    'a write precedes what was answered before it was called',
    /had been answered/,
    (d) => change(d, 'batch', { calledAt: 9.5 }),
  ],
  ['a watcher misses an event', /watcher w/, (d) => d.watched.splice(2, 1)],
  ['a watcher misses the last event', /watcher w/, (d) => d.watched.pop()],
  ['a watcher is told an event twice', /watcher w/, (d) => d.watched.splice(2, 0, d.watched[2])],
  [
    'a watcher is told events in the wrong order',
    /watcher w/,
    (d) => d.watched.splice(0, 2, d.watched[1], d.watched[0]),
  ],
  [
    'a watcher is told of a key that is none of its business',
    /watcher w/,
    (d) => d.watched.splice(0, 0, d.log[0]),
  ],
  ['a key of the past is another one', /all keys at revision 5/, (d) => (d.snapshot[0] = found(d.log[0]))],
  ['a key of the past is missing', /all keys at revision 5/, (d) => d.snapshot.pop()],
];

describe('checkHistory', () => {
  it('finds nothing wrong in a good history', () => {
    expect(check(goodHistory())).toEqual([]);
  });

  it.each(spoiled)('finds that %s', (_, violation, spoil) => {
    const draft = goodHistory();
    spoil(draft);
    expect(check(draft).join('\n')).toMatch(new RegExp(violation, 'm'));
  });
});
