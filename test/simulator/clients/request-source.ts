import { etcdserverpb } from '@conclave/protocol';
import { type Draw } from '../world/fate.js';
import { type OperationKind, type Profile } from '../world/profile.js';
import { type Request } from './invocation.js';
import * as requests from './requests.js';

/** What the drawing of a request looks at. */
export interface Surroundings {
  /** Revision that clients know of, roughly. */
  readonly revision: number;
  /** Leases that were asked for, dead ones too. */
  readonly leases: readonly bigint[];
  readonly lives: requests.LeaseLives;
}

const { RequestOp, TxnRequest } = etcdserverpb;
const {
  RangeRequest_SortOrder: Order,
  RangeRequest_SortTarget: Target,
  Compare_CompareResult: Result,
  Compare_CompareTarget: CompareTarget,
} = etcdserverpb;

/** Draws the requests of key-value clients over a few keys, so that they meet. Values are unique. */
export class RequestSource {
  private values = 0;

  constructor(
    private readonly draw: Draw,
    private readonly profile: Profile,
    private readonly around: Surroundings,
    /** Unique for the request; part of its values. */
    private readonly name: string,
  ) {}

  next(): Request {
    const { draw, around } = this;
    switch (this.kind()) {
      case 'put':
        return requests.putRequest(this.put());
      case 'delete':
        return requests.deleteRequest(this.deleteRange());
      case 'txn':
        return requests.txnRequest(this.txn());
      case 'range':
        return requests.rangeRequest(this.range());
      case 'readTxn':
        return requests.readTxnRequest(this.readTxn());
      case 'compact':
        return requests.compactRequest(this.past(2), draw.chance(0.3));
      case 'timeToLive':
        return requests.timeToLiveRequest(this.lease(1), around.lives);
      case 'leases':
        return requests.leasesRequest(around.lives);
      case 'status':
        return requests.statusRequest();
    }
  }

  private kind(): OperationKind {
    const weights = Object.entries(this.profile.mix) as [OperationKind, number][];
    let point = this.draw.below(weights.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [kind, weight] of weights) {
      if (point < weight) return kind;
      point -= weight;
    }
    return 'put';
  }

  private key(): Buffer {
    return Buffer.from(`k${this.draw.below(this.profile.keys)}`);
  }

  private end(): Buffer {
    const { draw } = this;
    if (draw.chance(0.6)) return Buffer.alloc(0);
    return draw.pick([Buffer.from('\0'), Buffer.from('l'), this.key()]);
  }

  /** A revision up to the current one, and a little beyond it. */
  private past(beyond: number): number {
    const { draw, around } = this;
    const back = draw.chance(0.5) ? draw.below(8) : draw.below(Math.max(1, around.revision));
    return Math.max(1, around.revision + beyond - back);
  }

  private value(): Buffer {
    const { draw, profile } = this;
    const tail = draw.chance(0.4) ? 'x'.repeat(draw.below(profile.valueBytesMax)) : '';
    return Buffer.from(`${this.name}.${++this.values}${tail}`);
  }

  private lease(share: number): bigint {
    const { draw, around } = this;
    if (around.leases.length === 0 || !draw.chance(share)) return 0n;
    return draw.pick(around.leases.slice(-4));
  }

  private put(key = this.key()): etcdserverpb.PutRequest {
    const { draw } = this;
    const ignoreValue = draw.chance(0.05);
    const ignoreLease = draw.chance(0.05);
    return {
      key,
      value: ignoreValue ? Buffer.alloc(0) : this.value(),
      lease: ignoreLease ? 0n : this.lease(0.3),
      prev_kv: draw.chance(0.3),
      ignore_value: ignoreValue,
      ignore_lease: ignoreLease,
    };
  }

  private deleteRange(key = this.key(), range_end = this.end()): etcdserverpb.DeleteRangeRequest {
    return { key, range_end, prev_kv: this.draw.chance(0.4) };
  }

  private range(): etcdserverpb.RangeRequest {
    const { draw } = this;
    const sorts = draw.chance(0.25);
    const bound = (): bigint => (draw.chance(0.1) ? BigInt(this.past(1)) : 0n);
    return {
      key: this.key(),
      range_end: this.end(),
      limit: draw.chance(0.2) ? BigInt(draw.between(1, 4)) : 0n,
      revision: draw.chance(0.4) ? BigInt(this.past(1)) : 0n,
      sort_order: sorts ? draw.pick([Order.ASCEND, Order.DESCEND]) : Order.NONE,
      sort_target: sorts ? draw.pick([Target.KEY, Target.VALUE]) : Target.KEY,
      serializable: draw.chance(0.2),
      keys_only: draw.chance(0.1) && !sorts,
      count_only: draw.chance(0.1),
      min_mod_revision: bound(),
      max_mod_revision: bound(),
      min_create_revision: bound(),
      max_create_revision: bound(),
    };
  }

  private readTxn(): etcdserverpb.TxnRequest {
    const ranges = (): etcdserverpb.RequestOp[] =>
      Array.from({ length: this.draw.between(1, 2) }, () =>
        RequestOp.fromPartial({ request: { $case: 'request_range', value: this.range() } }),
      );
    return TxnRequest.fromPartial({ compare: this.compares(), success: ranges(), failure: ranges() });
  }

  /** No key is put twice, nor put and deleted, in one branch. */
  private txn(depth = 0, keys = this.allKeys()): etcdserverpb.TxnRequest {
    const { draw } = this;
    // The outermost transaction writes; else it would be a read.
    const half = draw.between(depth === 0 ? 1 : 0, keys.length);
    const branch = (): etcdserverpb.RequestOp[] => {
      const ops = keys
        .slice(0, half)
        .slice(0, 3)
        .map((key) => this.writeOf(key));
      if (draw.chance(0.5)) {
        const value = this.range();
        ops.splice(draw.below(ops.length + 1), 0, { request: { $case: 'request_range', value } });
      }
      if (depth < 2 && keys.length > half && draw.chance(0.3)) {
        const value = this.txn(depth + 1, keys.slice(half));
        ops.push({ request: { $case: 'request_txn', value } });
      }
      return ops;
    };
    return TxnRequest.fromPartial({ compare: this.compares(), success: branch(), failure: branch() });
  }

  private allKeys(): Buffer[] {
    const start = this.draw.below(this.profile.keys);
    return Array.from({ length: this.profile.keys }, (_, at) =>
      Buffer.from(`k${(start + at) % this.profile.keys}`),
    );
  }

  private writeOf(key: Buffer): etcdserverpb.RequestOp {
    if (this.draw.chance(0.3)) {
      return { request: { $case: 'request_delete_range', value: this.deleteRange(key, Buffer.alloc(0)) } };
    }
    return { request: { $case: 'request_put', value: this.put(key) } };
  }

  private compares(): etcdserverpb.Compare[] {
    return Array.from({ length: this.draw.below(3) }, () => this.compare());
  }

  private compare(): etcdserverpb.Compare {
    const { draw } = this;
    const revision = BigInt(draw.chance(0.3) ? 0 : this.past(1));
    const [target, target_union] = draw.pick([
      [CompareTarget.VERSION, { $case: 'version', value: BigInt(draw.below(4)) }],
      [CompareTarget.CREATE, { $case: 'create_revision', value: revision }],
      [CompareTarget.MOD, { $case: 'mod_revision', value: revision }],
      [CompareTarget.VALUE, { $case: 'value', value: this.value() }],
      [CompareTarget.LEASE, { $case: 'lease', value: this.lease(0.5) }],
    ] as const);
    const result = draw.pick([Result.EQUAL, Result.NOT_EQUAL, Result.GREATER, Result.LESS]);
    return { key: this.key(), range_end: this.end(), result, target, target_union };
  }
}
