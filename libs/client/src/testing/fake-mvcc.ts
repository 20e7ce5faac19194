import { etcdserverpb as pb, mvccpb, ProtocolError, type ProtocolErrorName } from '@conclave/protocol';

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
  compactRevision = 0n;

  constructor(private readonly leaseExists: (id: bigint) => boolean) {}

  range(request: pb.RangeRequest): pb.RangeResponse {
    if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
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
    const branch = this.decide(request);
    return this.run(branch, written);
  }

  put(request: pb.PutRequest, written: Written): pb.PutResponse {
    if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
    if (request.lease !== 0n && !this.leaseExists(request.lease)) throw ProtocolError.of('LeaseNotFound');
    const name = request.key.toString('latin1');
    const prev = this.current.get(name);
    if (request.ignore_lease && prev === undefined) throw ProtocolError.of('KeyNotFound');
    const revision = this.revision + 1n;
    const kv: KeyValue = {
      key: request.key,
      value: request.value,
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
    if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
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
    if (revision <= this.compactRevision) throw ProtocolError.of('Compacted');
    if (revision > this.revision) throw ProtocolError.of('FutureRev');
    this.base = this.stateAt(revision);
    this.log = this.log.filter((event) => event.revision > revision);
    this.compactRevision = revision;
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

  private run(branch: Branch, written: Written): pb.TxnResponse {
    const responses = branch.ops.map((op, index): pb.ResponseOp => {
      const { request } = op;
      const inner = branch.inner[index];
      if (inner !== undefined)
        return { response: { $case: 'response_txn', value: this.run(inner, written) } };
      switch (request?.$case) {
        case 'request_range':
          return { response: { $case: 'response_range', value: this.range(request.value) } };
        case 'request_put':
          return { response: { $case: 'response_put', value: this.put(request.value, written) } };
        case 'request_delete_range':
          return {
            response: { $case: 'response_delete_range', value: this.deleteRange(request.value, written) },
          };
        case 'request_txn':
        case undefined:
          throw ProtocolError.of('KeyNotFound');
      }
    });
    return { header: undefined, succeeded: branch.succeeded, responses };
  }

  private holds(condition: pb.Compare): boolean {
    if (condition.key.length === 0) throw ProtocolError.of('EmptyKey');
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

export function covers(start: Buffer, end: Buffer, key: Buffer): boolean {
  if (end.length === 0) return start.equals(key);
  if (Buffer.compare(key, start) < 0) return false;
  return (end.length === 1 && end[0] === 0) || Buffer.compare(key, end) < 0;
}

function passes(request: pb.RangeRequest, kv: KeyValue): boolean {
  const { max_mod_revision, min_mod_revision, max_create_revision, min_create_revision } = request;
  if (max_mod_revision !== 0n && kv.mod_revision > max_mod_revision) return false;
  if (min_mod_revision !== 0n && kv.mod_revision < min_mod_revision) return false;
  if (max_create_revision !== 0n && kv.create_revision > max_create_revision) return false;
  return min_create_revision === 0n || kv.create_revision >= min_create_revision;
}

function sort(request: pb.RangeRequest, kvs: KeyValue[]): void {
  const target = pb.RangeRequest_SortTarget;
  const number = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
  kvs.sort((a, b) => {
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
  });
  if (request.sort_order === pb.RangeRequest_SortOrder.DESCEND) kvs.reverse();
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
