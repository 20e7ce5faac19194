import { type etcdserverpb, ProtocolError } from '@conclave/protocol';
import { type ByteString } from '../backend/backend.js';
import { type Lessor } from '../lease/lessor.js';
import {
  type ChangeSet,
  type LeaseChangeListener,
  type MvccStore,
  type WriteTxn,
} from '../mvcc/mvcc-store.js';
import { type RangeBounds } from '../mvcc/range-bounds.js';
import { type ApplyResult, emptyBody } from './apply-result.js';
import { OperationCounts } from './operation-counts.js';
import { boundsOf, rangeQuery } from './range-query.js';
import {
  deleteRangeBody,
  type OperationResponse,
  putBody,
  rangeBody,
  ResponseOperation,
  txnBody,
} from './response-body.js';
import { compareHolds } from './txn-compare.js';

/** A result and what it changed, for watchers; undefined when nothing in the store could change. */
export interface KvEffect {
  readonly result: ApplyResult;
  readonly changes: ChangeSet | undefined;
}

/** What a put asks for, whichever way it was decoded. */
export interface PutArguments {
  readonly key: ByteString;
  readonly value: Uint8Array;
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

/** Work that may be long: it yields between slices, and reads at the revision before go on meanwhile. */
export type Slices<T> = Generator<void, T, void>;

/** Rows that one slice of a delete looks at; about a millisecond. */
const rowsPerSlice = 1_000;

/** The branches that a transaction takes, its nested ones included, decided before any operation runs. */
interface Path {
  readonly succeeded: boolean;
  readonly ops: readonly etcdserverpb.RequestOp[];
  /** Of each nested transaction, by its position in `ops`. */
  readonly nested: ReadonlyMap<number, Path>;
}

/** The KV commands: put, delete and transactions on the store, with the leases of the keys they touch. */
export class KvMachine {
  readonly counts = new OperationCounts();
  private readonly onLeaseChange: LeaseChangeListener;

  constructor(
    private readonly store: MvccStore,
    private readonly lessor: Lessor,
  ) {
    this.onLeaseChange = (key, from, to) => {
      if (from !== 0n) lessor.detach(from, key);
      if (to !== 0n) lessor.attach(to, key);
    };
  }

  /** @throws ProtocolError LeaseNotFound, KeyNotFound */
  put(put: PutArguments): KvEffect {
    this.checkLease(put);
    this.checkIgnored(put);
    const txn = this.store.begin(this.onLeaseChange);
    const body = this.putIn(txn, put);
    return this.finish(txn, body);
  }

  *deleteRange(request: etcdserverpb.DeleteRangeRequest): Slices<KvEffect> {
    const txn = this.store.begin(this.onLeaseChange);
    const body = yield* this.deleteIn(txn, request);
    return this.finish(txn, body);
  }

  /** Deletes the given keys, in order, all in one revision. */
  *deleteKeys(keys: readonly ByteString[]): Slices<KvEffect> {
    const txn = this.store.begin(this.onLeaseChange);
    this.counts.deletes += keys.length;
    for (let at = 0; at < keys.length; at++) {
      if (at > 0 && at % rowsPerSlice === 0) yield;
      txn.delete(keys[at]);
    }
    return this.finish(txn, emptyBody);
  }

  /** @throws ProtocolError LeaseNotFound, KeyNotFound, Compacted, FutureRev before anything was written */
  *txn(request: etcdserverpb.TxnRequest): Slices<KvEffect> {
    const path = this.choosePath(request);
    this.checkPuts(path);
    this.checkRanges(path);
    this.counts.txns++;
    const txn = this.store.begin(this.onLeaseChange);
    const body = yield* this.runPath(txn, path);
    return this.finish(txn, body);
  }

  /** A transaction that changes nothing, evaluated on local state. @throws ProtocolError as `txn` */
  readTxn(request: etcdserverpb.TxnRequest): ApplyResult {
    const path = this.choosePath(request);
    this.checkPuts(path);
    this.checkRanges(path);
    this.counts.txns++;
    return { error: undefined, revision: this.store.currentRevision, body: this.readPath(path) };
  }

  private finish(txn: WriteTxn, body: Uint8Array): KvEffect {
    const changes = txn.end();
    return { result: { error: undefined, revision: changes.revision, body }, changes };
  }

  private putIn(txn: WriteTxn, put: PutArguments): Uint8Array {
    const { counts } = this;
    const { key } = put;
    const previous = put.prevKv || put.ignoreValue ? txn.get(key) : undefined;
    const value = put.ignoreValue && previous !== undefined ? previous.value : put.value;
    const lease = put.ignoreLease ? (txn.head(key)?.lease ?? 0n) : put.lease;
    txn.put(key, value, lease);
    counts.puts++;
    counts.putBytes += key.length + value.length;
    return putBody(put.prevKv ? previous : undefined);
  }

  private *deleteIn(txn: WriteTxn, request: etcdserverpb.DeleteRangeRequest): Slices<Uint8Array> {
    this.counts.deletes++;
    const bounds: RangeBounds = boundsOf(request.key, request.range_end);
    const cursor = txn.deleteSlices(bounds, request.prev_kv);
    while (!cursor.step(rowsPerSlice)) yield;
    return deleteRangeBody(cursor.deleted, cursor.previous);
  }

  private checkLease({ lease }: PutArguments): void {
    if (lease !== 0n && !this.lessor.has(lease)) throw ProtocolError.of('LeaseNotFound');
  }

  private checkIgnored(put: PutArguments): void {
    if (!put.ignoreValue && !put.ignoreLease) return;
    if (this.store.head(put.key) === undefined) throw ProtocolError.of('KeyNotFound');
  }

  private choosePath(request: etcdserverpb.TxnRequest): Path {
    const succeeded = request.compare.every((compare) => compareHolds(this.store, compare));
    const ops = succeeded ? request.success : request.failure;
    const nested = new Map<number, Path>();
    for (const [position, { request: op }] of ops.entries()) {
      if (op?.$case === 'request_txn') nested.set(position, this.choosePath(op.value));
    }
    return { succeeded, ops, nested };
  }

  /**
   * With `checkRanges`: everything that could fail is found before the first write, so that a transaction applies whole
   * or not at all. Which error is told when there are several is etcd's choice: puts before ranges, and of a put the
   * missing key before the missing lease, other than outside of a transaction.
   */
  private checkPuts(path: Path): void {
    for (const [position, { request: op }] of path.ops.entries()) {
      if (op?.$case === 'request_txn') this.checkPuts(path.nested.get(position)!);
      if (op?.$case !== 'request_put') continue;
      const put = putArguments(op.value);
      this.checkIgnored(put);
      this.checkLease(put);
    }
  }

  private checkRanges(path: Path): void {
    for (const [position, { request: op }] of path.ops.entries()) {
      if (op?.$case === 'request_txn') this.checkRanges(path.nested.get(position)!);
      if (op?.$case === 'request_range') this.store.checkRevision(rangeQuery(op.value).revision ?? 0);
    }
  }

  private *runPath(txn: WriteTxn, path: Path): Slices<Uint8Array> {
    const responses: OperationResponse[] = [];
    for (const [position, op] of path.ops.entries()) {
      responses.push(yield* this.runOperation(txn, op, path.nested.get(position)));
    }
    return txnBody(path.succeeded, responses);
  }

  private *runOperation(
    txn: WriteTxn,
    { request: op }: etcdserverpb.RequestOp,
    nested: Path | undefined,
  ): Slices<OperationResponse> {
    switch (op?.$case) {
      case 'request_range': {
        this.counts.ranges++;
        const body = rangeBody(txn.range(rangeQuery(op.value)));
        return { operation: ResponseOperation.Range, revision: txn.currentRevision, body };
      }
      case 'request_put': {
        const body = this.putIn(txn, putArguments(op.value));
        return { operation: ResponseOperation.Put, revision: txn.currentRevision, body };
      }
      case 'request_delete_range': {
        const body = yield* this.deleteIn(txn, op.value);
        return { operation: ResponseOperation.DeleteRange, revision: txn.currentRevision, body };
      }
      case 'request_txn':
        return { operation: ResponseOperation.Txn, revision: 0, body: yield* this.runPath(txn, nested!) };
      default:
        throw ProtocolError.of('KeyNotFound');
    }
  }

  private readPath(path: Path): Uint8Array {
    const responses = path.ops.map(({ request: op }, position): OperationResponse => {
      if (op?.$case === 'request_txn') {
        return {
          operation: ResponseOperation.Txn,
          revision: 0,
          body: this.readPath(path.nested.get(position)!),
        };
      }
      if (op?.$case !== 'request_range') throw ProtocolError.of('KeyNotFound');
      this.counts.ranges++;
      const result = this.store.range(rangeQuery(op.value));
      return { operation: ResponseOperation.Range, revision: result.revision, body: rangeBody(result) };
    });
    return txnBody(path.succeeded, responses);
  }
}

function putArguments(request: etcdserverpb.PutRequest): PutArguments {
  return {
    key: request.key.toString('latin1'),
    value: request.value,
    lease: request.lease,
    prevKv: request.prev_kv,
    ignoreValue: request.ignore_value,
    ignoreLease: request.ignore_lease,
  };
}
