import { Buffer } from 'node:buffer';
import { etcdserverpb as pb, mvccpb, ProtocolError, type ProtocolErrorName } from '@conclave/protocol';
import { checkDelete, checkPut, checkRange, checkTxn, covers } from './fake-requests.js';

type KeyValue = mvccpb.KeyValue;

/** One committed event, with what was there before. */
export interface FakeEvent {
  readonly revision: bigint;
  readonly type: mvccpb.Event_EventType;
  readonly kv: KeyValue;
  readonly prev: KeyValue | undefined;
}

export interface Written {
  readonly events: FakeEvent[];
}

/** The semantics of etcd's key-value API in memory: the plainest code that could be right, not the fastest. */
export class FakeMvcc {
  /** The newest state, by key in latin1, so that order and identity are those of bytes. */
  private current = new Map<string, KeyValue>();
  /** The state at `compactRevision`, from which the past is computed again. */
  private base = new Map<string, KeyValue>();
  private log: FakeEvent[] = [];
  revision = 1n;
  /** As in etcd a fresh store can be compacted at 0, once. */
  private compacted = -1n;

  constructor(private readonly leaseExists: (id: bigint) => boolean) {}

  /** The oldest revision that can be read; 0n while nothing was compacted. */
  get compactRevision(): bigint {
    return this.compacted < 0n ? 0n : this.compacted;
  }

  range(request: pb.RangeRequest): pb.RangeResponse {
    checkRange(request);
    const inRange = [...this.stateAt(request.revision).values()]
      .filter((kv) => covers(request.key, request.range_end, kv.key))
      .sort((a, b) => Buffer.compare(a.key, b.key));
    const wanted = inRange.filter((kv) => passes(request, kv));
    sort(request, wanted);
    const limit = request.limit > 0n ? Number(request.limit) : wanted.length;
    const kvs = request.count_only ? [] : wanted.slice(0, limit).map((kv) => copy(kv, request.keys_only));
    return {
      header: undefined,
      kvs,
      more: !request.count_only && wanted.length > limit,
      count: BigInt(inRange.length),
    };
  }

  /** All conditions are judged on the state before, then the operations run in order, all at one revision. */
  txn(request: pb.TxnRequest, written: Written): pb.TxnResponse {
    checkTxn(request);
    const branch = this.decide(request);
    this.checkPuts(branch);
    this.checkRanges(branch);
    return this.run(branch, written);
  }

  put(request: pb.PutRequest, written: Written): pb.PutResponse {
    checkPut(request);
    this.checkLease(request);
    this.checkIgnored(request);
    return this.write(request, written);
  }

  private write(request: pb.PutRequest, written: Written): pb.PutResponse {
    const name = request.key.toString('latin1');
    const prev = this.current.get(name);
    const revision = this.revision + 1n;
    const kv: KeyValue = {
      key: request.key,
      value: request.ignore_value && prev !== undefined ? prev.value : request.value,
      create_revision: prev?.create_revision ?? revision,
      mod_revision: revision,
      version: (prev?.version ?? 0n) + 1n,
      lease: request.ignore_lease ? (prev?.lease ?? 0n) : request.lease,
    };
    this.current.set(name, kv);
    written.events.push({ revision, type: mvccpb.Event_EventType.PUT, kv, prev });
    return { header: undefined, prev_kv: request.prev_kv ? prev : undefined };
  }

  deleteRange(request: pb.DeleteRangeRequest, written: Written): pb.DeleteRangeResponse {
    checkDelete(request);
    const gone = [...this.current.values()]
      .filter((kv) => covers(request.key, request.range_end, kv.key))
      .sort((a, b) => Buffer.compare(a.key, b.key));
    for (const prev of gone) this.remove(prev, written);
    return { header: undefined, deleted: BigInt(gone.length), prev_kvs: request.prev_kv ? gone : [] };
  }

  deleteLease(lease: bigint, written: Written): void {
    for (const kv of this.keysOf(lease)) this.remove(kv, written);
  }

  keysOf(lease: bigint): KeyValue[] {
    return [...this.current.values()]
      .filter((kv) => kv.lease === lease)
      .sort((a, b) => Buffer.compare(a.key, b.key));
  }

  /** Ends a command: what it wrote becomes the next revision. */
  commit(written: Written): void {
    if (written.events.length === 0) return;
    this.revision += 1n;
    this.log.push(...written.events);
  }

  /** Runs a command; on an error nothing of it remains. */
  atomically<T>(run: (written: Written) => T): { readonly result: T; readonly events: readonly FakeEvent[] } {
    const before = new Map(this.current);
    const written: Written = { events: [] };
    try {
      const result = run(written);
      this.commit(written);
      return { result, events: written.events };
    } catch (error) {
      this.current = before;
      throw error;
    }
  }

  compact(revision: bigint): void {
    if (revision <= this.compacted) throw ProtocolError.of('Compacted');
    if (revision > this.revision) throw ProtocolError.of('FutureRev');
    if (revision > 0n) this.base = new Map(this.stateAt(revision));
    // A watch may begin exactly there: what happened then is kept, what was before it is not known any more.
    this.log = this.log
      .filter((event) => event.revision >= revision)
      .map((event) => (event.revision === revision ? { ...event, prev: undefined } : event));
    this.compacted = revision;
  }

  eventsFrom(revision: bigint): readonly FakeEvent[] {
    return this.log.filter((event) => event.revision >= revision);
  }

  private stateAt(revision: bigint): Map<string, KeyValue> {
    if (revision <= 0n) return this.current;
    const refused: ProtocolErrorName | undefined =
      revision > this.revision ? 'FutureRev' : revision < this.compactRevision ? 'Compacted' : undefined;
    if (refused !== undefined) throw ProtocolError.of(refused);
    const state = new Map(this.base);
    for (const event of this.log) {
      if (event.revision > revision) break;
      const name = event.kv.key.toString('latin1');
      if (event.type === mvccpb.Event_EventType.PUT) state.set(name, event.kv);
      else state.delete(name);
    }
    return state;
  }

  private remove(prev: KeyValue, written: Written): void {
    const revision = this.revision + 1n;
    this.current.delete(prev.key.toString('latin1'));
    const kv: KeyValue = { ...mvccpb.KeyValue.create(), key: prev.key, mod_revision: revision };
    written.events.push({ revision, type: mvccpb.Event_EventType.DELETE, kv, prev });
  }

  private decide(request: pb.TxnRequest): Branch {
    const succeeded = request.compare.every((condition) => this.holds(condition));
    const ops = succeeded ? request.success : request.failure;
    const inner = ops.map((op) =>
      op.request?.$case === 'request_txn' ? this.decide(op.request.value) : undefined,
    );
    return { succeeded, ops, inner };
  }

  /** What an operation of a transaction answers carries the revision at that point, and nothing else of a header. */
  private innerHeader(written: Written): pb.ResponseHeader {
    const revision = this.revision + (written.events.length > 0 ? 1n : 0n);
    return { cluster_id: 0n, member_id: 0n, revision, raft_term: 0n };
  }

  private checkLease({ lease }: pb.PutRequest): void {
    if (lease !== 0n && !this.leaseExists(lease)) throw ProtocolError.of('LeaseNotFound');
  }

  private checkIgnored(request: pb.PutRequest): void {
    if (!request.ignore_lease && !request.ignore_value) return;
    if (!this.current.has(request.key.toString('latin1'))) throw ProtocolError.of('KeyNotFound');
  }

  /** All that could fail is found before the first write; of a put first the missing key, other than outside of a transaction. */
  private checkPuts({ ops, inner }: Branch): void {
    for (const [index, { request }] of ops.entries()) {
      const branch = inner[index];
      if (branch !== undefined) this.checkPuts(branch);
      if (request?.$case !== 'request_put') continue;
      this.checkIgnored(request.value);
      this.checkLease(request.value);
    }
  }

  private checkRanges({ ops, inner }: Branch): void {
    for (const [index, { request }] of ops.entries()) {
      const branch = inner[index];
      if (branch !== undefined) this.checkRanges(branch);
      if (request?.$case === 'request_range') this.stateAt(request.value.revision);
    }
  }

  private run(branch: Branch, written: Written): pb.TxnResponse {
    const responses = branch.ops.map((op, index): pb.ResponseOp => {
      const { request } = op;
      const inner = branch.inner[index];
      if (inner !== undefined)
        return {
          response: { $case: 'response_txn', value: { ...this.run(inner, written), header: noHeader() } },
        };
      switch (request?.$case) {
        case 'request_range': {
          const value = { ...this.range(request.value), header: this.innerHeader(written) };
          return { response: { $case: 'response_range', value } };
        }
        case 'request_put': {
          const answer = this.write(request.value, written);
          return {
            response: { $case: 'response_put', value: { ...answer, header: this.innerHeader(written) } },
          };
        }
        case 'request_delete_range': {
          const answer = this.deleteRange(request.value, written);
          const value = { ...answer, header: this.innerHeader(written) };
          return { response: { $case: 'response_delete_range', value } };
        }
        case 'request_txn':
        case undefined:
          throw ProtocolError.of('KeyNotFound');
      }
    });
    return { header: undefined, succeeded: branch.succeeded, responses };
  }

  private holds(condition: pb.Compare): boolean {
    const kvs = [...this.current.values()].filter((kv) => covers(condition.key, condition.range_end, kv.key));
    if (kvs.length === 0) return condition.target_union?.$case !== 'value' && compares(condition, undefined);
    return kvs.every((kv) => compares(condition, kv));
  }
}

interface Branch {
  readonly succeeded: boolean;
  readonly ops: readonly pb.RequestOp[];
  readonly inner: readonly (Branch | undefined)[];
}

function noHeader(): pb.ResponseHeader {
  return { cluster_id: 0n, member_id: 0n, revision: 0n, raft_term: 0n };
}

function passes(request: pb.RangeRequest, kv: KeyValue): boolean {
  const { max_mod_revision, min_mod_revision, max_create_revision, min_create_revision } = request;
  if (max_mod_revision !== 0n && kv.mod_revision > max_mod_revision) return false;
  if (min_mod_revision !== 0n && kv.mod_revision < min_mod_revision) return false;
  if (max_create_revision !== 0n && kv.create_revision > max_create_revision) return false;
  return min_create_revision === 0n || kv.create_revision >= min_create_revision;
}

/** Equal ones stay in the order of their keys, also when it descends. */
function sort(request: pb.RangeRequest, kvs: KeyValue[]): void {
  const target = pb.RangeRequest_SortTarget;
  const number = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
  const byTarget = (a: KeyValue, b: KeyValue): number => {
    switch (request.sort_target) {
      case target.VERSION:
        return number(a.version, b.version);
      case target.CREATE:
        return number(a.create_revision, b.create_revision);
      case target.MOD:
        return number(a.mod_revision, b.mod_revision);
      case target.VALUE:
        return Buffer.compare(a.value, b.value);
      default:
        return Buffer.compare(a.key, b.key);
    }
  };
  const isDescending = request.sort_order === pb.RangeRequest_SortOrder.DESCEND;
  kvs.sort((a, b) => (isDescending ? byTarget(b, a) : byTarget(a, b)));
}

function compares(condition: pb.Compare, kv: KeyValue | undefined): boolean {
  const union = condition.target_union;
  let order = 0;
  switch (union?.$case) {
    case 'value':
      order = Buffer.compare(kv?.value ?? Buffer.alloc(0), union.value);
      break;
    case 'version':
    case 'create_revision':
    case 'mod_revision':
    case 'lease': {
      const actual = kv?.[union.$case] ?? 0n;
      order = actual < union.value ? -1 : actual > union.value ? 1 : 0;
      break;
    }
    case undefined:
      throw ProtocolError.of('KeyNotFound');
  }
  switch (condition.result) {
    case pb.Compare_CompareResult.EQUAL:
      return order === 0;
    case pb.Compare_CompareResult.NOT_EQUAL:
      return order !== 0;
    case pb.Compare_CompareResult.GREATER:
      return order > 0;
    case pb.Compare_CompareResult.LESS:
      return order < 0;
    default:
      return false;
  }
}

function copy(kv: KeyValue, keysOnly: boolean): KeyValue {
  return keysOnly ? { ...kv, value: Buffer.alloc(0) } : { ...kv };
}
