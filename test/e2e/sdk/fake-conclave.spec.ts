import { ConclaveError, type KvStore } from '@conclave/client';
import { startEmbedded } from '@conclave/client/testing';
import { etcdserverpb as pb } from '@conclave/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeWorld } from '../../../libs/client/src/testing/fake-client.js';
import { covers } from '../../../libs/client/src/testing/fake-requests.js';

/** One call of both stores. Revisions are given as an offset from the newest, so that they are near it. */
class Step {
  constructor(
    readonly name: string,
    readonly request: object,
    readonly run: (store: KvStore, newest: bigint) => Promise<unknown>,
  ) {}

  [fc.toStringMethod](): string {
    const readable = (_: string, field: unknown): unknown =>
      typeof field === 'bigint'
        ? Number(field)
        : isBytes(field)
          ? Buffer.from(field.data).toString('latin1')
          : field;
    return `${this.name} ${JSON.stringify(this.request, readable)}`;
  }
}

function isBytes(field: unknown): field is { readonly data: number[] } {
  return (field as { type?: unknown } | null)?.type === 'Buffer';
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const keys = ['a', 'b', 'b/1', 'b/2', 'c'];
const key = fc.constantFrom(...keys).map(bytes);
const anyKey = fc.oneof({ weight: 30, arbitrary: key }, { weight: 1, arbitrary: fc.constant(bytes('')) });
const end = fc.constantFrom('', '', '', 'b0', 'c', '\0').map(bytes);
const value = fc.constantFrom('', '1', '2').map(bytes);
const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 0);
const lease = fc.constantFrom(0n, 0n, 0n, 1n, 2n, 3n);
const offset = fc.option(fc.bigInt({ min: -8n, max: 1n }), { freq: 3 });
/** Bounds of revisions in filters and conditions; sequences begin at revision 1. */
const smallRevision = fc.oneof(fc.constant(0n), fc.bigInt({ min: 1n, max: 30n }));

const put = fc
  .record({ key: anyKey, value, lease, prev_kv: fc.boolean(), ignore_value: rarely, ignore_lease: rarely })
  .map((fields) => pb.PutRequest.create(fields));
const range = fc
  .record({
    key: anyKey,
    range_end: end,
    limit: fc.constantFrom(0n, 0n, 1n, 2n),
    revision: fc.constant(0n),
    sort_order: fc.constantFrom(0, 1, 2),
    sort_target: fc.constantFrom(0, 1, 2, 3, 4),
    serializable: fc.boolean(),
    keys_only: rarely,
    count_only: rarely,
    min_mod_revision: smallRevision,
    max_create_revision: smallRevision,
  })
  .map((fields) => pb.RangeRequest.create(fields));
const deleteRange = fc
  .record({ key: anyKey, range_end: end, prev_kv: fc.boolean() })
  .map((fields) => pb.DeleteRangeRequest.create(fields));
const condition = fc
  .record({
    key: anyKey,
    range_end: end,
    result: fc.constantFrom(0, 1, 2, 3),
    about: fc.constantFrom('version', 'create_revision', 'mod_revision', 'lease', 'value' as const),
    number: smallRevision,
    value,
  })
  .map(({ about, number, value: text, ...fields }) =>
    pb.Compare.create({
      ...fields,
      target: { version: 0, create_revision: 1, mod_revision: 2, value: 3, lease: 4 }[about],
      target_union: about === 'value' ? { $case: about, value: text } : { $case: about, value: number },
    }),
  );
const { txn } = fc.letrec<{ txn: pb.TxnRequest; operation: pb.RequestOp }>((tie) => ({
  operation: fc.oneof(
    { depthSize: 'small', maxDepth: 2 },
    put.map((v) => pb.RequestOp.create({ request: { $case: 'request_put', value: v } })),
    range.map((v) => pb.RequestOp.create({ request: { $case: 'request_range', value: v } })),
    deleteRange.map((v) => pb.RequestOp.create({ request: { $case: 'request_delete_range', value: v } })),
    tie('txn').map((v) => pb.RequestOp.create({ request: { $case: 'request_txn', value: v } })),
  ),
  txn: fc
    .record({
      compare: fc.array(condition, { maxLength: 2 }),
      success: fc.array(tie('operation'), { maxLength: 3 }),
      failure: fc.array(tie('operation'), { maxLength: 3 }),
    })
    .map((fields) => pb.TxnRequest.create(fields)),
}));

const leaseId = fc.constantFrom(1n, 2n, 3n);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: put.map((request) => new Step('put', request, (store) => store.put(request))) },
  {
    weight: 4,
    arbitrary: fc.tuple(range, offset).map(
      ([request, at]) =>
        new Step('range', { ...request, at }, (store, newest) => {
          return store.range(at === null ? request : { ...request, revision: newest + at });
        }),
    ),
  },
  {
    weight: 2,
    arbitrary: deleteRange.map(
      (request) => new Step('delete', request, (store) => store.deleteRange(request)),
    ),
  },
  { weight: 6, arbitrary: txn.map((request) => new Step('txn', request, (store) => store.txn(request))) },
  {
    weight: 1,
    arbitrary: offset.map(
      (at) =>
        new Step('compact', { at }, (store, newest) =>
          store.compact({ revision: newest + (at ?? -3n), physical: false }),
        ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ ID: leaseId, TTL: fc.constantFrom(0n, 60n, 60n, 9_000_000_001n) })
      .map((request) => new Step('grant', request, (store) => store.leaseGrant(request))),
  },
  {
    weight: 1,
    arbitrary: leaseId.map((ID) => new Step('revoke', { ID }, (store) => store.leaseRevoke({ ID }))),
  },
  {
    weight: 1,
    arbitrary: leaseId.map(
      (ID) =>
        new Step('time to live', { ID }, async (store) => {
          const answer = await store.leaseTimeToLive({ ID, keys: true });
          // The clocks are not the same.
          return { ...answer, TTL: answer.TTL < 0n ? -1n : 1n };
        }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      new Step('leases', {}, async (store) => {
        const answer = await store.leaseLeases();
        return { ...answer, leases: answer.leases.map(({ ID }) => ID).sort() };
      }),
    ),
  },
  { weight: 1, arbitrary: leaseId.map((ID) => new Step('renew', { ID }, (store) => renew(store, ID))) },
);

function renew(store: KvStore, ID: bigint): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const stream = store.leaseKeepAlive({
      next: (answer) => {
        stream.cancel();
        resolve(answer);
      },
      error: reject,
    });
    stream.send({ ID });
  });
}

/** Two stores are two clusters; all else is the same. */
function withoutIdentity(answer: unknown): unknown {
  const { header, ...rest } = answer as { header: pb.ResponseHeader | undefined };
  return { ...rest, revision: header?.revision };
}

async function outcome(run: Promise<unknown>): Promise<unknown> {
  try {
    return withoutIdentity(await run);
  } catch (error) {
    if (!(error instanceof ConclaveError)) throw error;
    const { name, code, reason, message, retryable } = error;
    return { name, code, reason, message, retryable };
  }
}

interface Watching {
  readonly request: pb.WatchCreateRequest;
  /** Before this step. */
  readonly at: number;
}

const watching: fc.Arbitrary<Watching> = fc
  .record({
    key,
    range_end: end,
    start_revision: fc.bigInt({ min: 0n, max: 12n }),
    prev_kv: fc.boolean(),
    filters: fc.constantFrom<number[]>([], [], [0], [1]),
    at: fc.nat(20),
  })
  .map(({ at, ...fields }) => ({ at, request: pb.WatchCreateRequest.create(fields) }));

/** Everything that one watch delivers, event by event: how they are divided among responses is not promised. */
class Recording {
  readonly created: Promise<void>;
  private readonly lines: unknown[] = [];
  private newest = 0n;
  private isOver = false;
  private heard: () => void = () => undefined;

  constructor(
    store: KvStore,
    readonly request: pb.WatchCreateRequest,
  ) {
    let create = (): void => undefined;
    this.created = new Promise((resolve) => (create = resolve));
    const stream = store.watch({
      next: ({ header: _header, watch_id: _id, events, ...rest }) => {
        if (this.isOver) return;
        this.lines.push(...events, ...(rest.canceled ? [rest] : []));
        this.newest = events.at(-1)?.kv?.mod_revision ?? this.newest;
        this.isOver ||= rest.canceled;
        if (rest.created) create();
        this.heard();
      },
      error: (error) => {
        if (this.isOver) return;
        this.lines.push(error);
        this.isOver = true;
        this.heard();
      },
    });
    stream.send(pb.WatchRequest.create({ request_union: { $case: 'create_request', value: request } }));
  }

  /** Everything up to a revision that is known to bring an event. */
  async upTo(revision: bigint): Promise<readonly unknown[]> {
    while (!this.isOver && this.newest < revision) {
      await new Promise<void>((resolve) => (this.heard = resolve));
    }
    return this.lines;
  }
}

/** Puts and deletes every key, so that every watch has something to end with. Gives the revisions by key. */
async function closing(store: KvStore): Promise<ReadonlyMap<string, { put: bigint; deleted: bigint }>> {
  const revisions = new Map<string, { put: bigint; deleted: bigint }>();
  for (const text of keys) {
    const put = await store.put(pb.PutRequest.create({ key: bytes(text), value: bytes('last') }));
    const deleted = await store.deleteRange(pb.DeleteRangeRequest.create({ key: bytes(text) }));
    revisions.set(text, { put: put.header!.revision, deleted: deleted.header!.revision });
  }
  return revisions;
}

/** The revision of the last event that a watch gets; 0n when it begins behind it. */
function lastOf(request: pb.WatchCreateRequest, revisions: Awaited<ReturnType<typeof closing>>): bigint {
  let last = 0n;
  for (const [text, { put, deleted }] of revisions) {
    if (covers(request.key, request.range_end, bytes(text)))
      last = (request.filters as number[]).includes(1) ? put : deleted;
  }
  return last < request.start_revision ? 0n : last;
}

/** One sequence on a fresh member and a fresh fake store. */
async function compareOver(steps: readonly Step[], watchings: readonly Watching[]): Promise<void> {
  await using member = await startEmbedded();
  const real = member.client().store;
  const fake = new FakeWorld().client().store;
  const recordings: (readonly [Recording, Recording])[] = [];
  let newest = 1n;
  for (const [index, { run }] of steps.entries()) {
    for (const { request } of watchings.filter(({ at }) => Math.min(at, steps.length - 1) === index)) {
      const pair = [new Recording(real, request), new Recording(fake, request)] as const;
      recordings.push(pair);
      await Promise.all(pair.map(({ created }) => created));
    }
    const [expected, actual] = await Promise.all([outcome(run(real, newest)), outcome(run(fake, newest))]);
    expect(actual, `step ${index}`).toEqual(expected);
    const { revision } = expected as { revision?: bigint };
    newest = revision !== undefined && revision > newest ? revision : newest;
  }
  const [revisions] = await Promise.all([closing(real), closing(fake)]);
  for (const [expected, actual] of recordings) {
    const last = lastOf(expected.request, revisions);
    expect(await actual.upTo(last)).toEqual(await expected.upTo(last));
  }
}

describe('the fake store is no lie', () => {
  it('keeps equal ones in the order of their keys, whichever way it sorts', async () => {
    const { store } = new FakeWorld().client();
    for (const key of ['a', 'b', 'c']) await store.put(pb.PutRequest.create({ key: bytes(key) }));
    await store.put(pb.PutRequest.create({ key: bytes('c') }));
    const all = { key: bytes('a'), range_end: bytes('\0'), sort_target: pb.RangeRequest_SortTarget.VERSION };
    const keysOf = async (sort_order: pb.RangeRequest_SortOrder): Promise<string> =>
      (await store.range(pb.RangeRequest.create({ ...all, sort_order }))).kvs.map(({ key }) => key).join('');
    expect(await keysOf(pb.RangeRequest_SortOrder.ASCEND)).toBe('abc');
    expect(await keysOf(pb.RangeRequest_SortOrder.DESCEND)).toBe('cab');
  });

  const numRuns = process.env['CONCLAVE_FULL'] === '1' ? 500 : 25;

  it(
    'answers generated sequences as a real member does, errors and watches included',
    { timeout: 600_000 },
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 5, maxLength: 40 }),
          fc.array(watching, { maxLength: 3 }),
          compareOver,
        ),
        { numRuns },
      ),
  );
});
