import { etcdserverpb } from '@conclave/protocol';
import { type Chance } from './chance.js';

/** One step of a sequence. Revisions are given relative to the store's revision when the step runs. */
export type Step =
  | { readonly kind: 'range'; readonly request: etcdserverpb.RangeRequest; readonly back: number | undefined }
  | { readonly kind: 'put'; readonly request: etcdserverpb.PutRequest }
  | { readonly kind: 'delete'; readonly request: etcdserverpb.DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: etcdserverpb.TxnRequest }
  | { readonly kind: 'compact'; readonly back: number; readonly physical: boolean }
  | { readonly kind: 'grant'; readonly request: etcdserverpb.LeaseGrantRequest }
  | { readonly kind: 'revoke'; readonly ID: bigint }
  | { readonly kind: 'timeToLive'; readonly ID: bigint; readonly keys: boolean }
  | {
      readonly kind: 'watch';
      readonly request: etcdserverpb.WatchCreateRequest;
      readonly back: number | undefined;
    }
  | { readonly kind: 'cancelWatch'; readonly watchId: bigint }
  | { readonly kind: 'leases' }
  | { readonly kind: 'progress' };

const everythingAfter = Buffer.from([0]);
const rangeEnds = ['', '', '', '\0', 'prefix', 'next', 'below'] as const;

/** Draws steps over a small set of keys and leases, so that they meet each other often; a few are bad on purpose. */
export class StepSource {
  constructor(
    private readonly chance: Chance,
    private readonly prefix: string,
    private readonly leases: readonly bigint[],
  ) {}

  next(): Step {
    const draw = this.chance.below(100);
    if (draw < 28) return { kind: 'put', request: this.put() };
    if (draw < 48) return { kind: 'range', request: this.range(), back: this.back() };
    if (draw < 56) return { kind: 'delete', request: this.deleteRange() };
    if (draw < 74) return { kind: 'txn', request: this.txn(0) };
    if (draw < 79) return { kind: 'grant', request: this.grant() };
    if (draw < 83) return { kind: 'revoke', ID: this.lease() };
    if (draw < 86) return { kind: 'timeToLive', ID: this.lease(), keys: this.chance.chance(0.7) };
    if (draw < 88)
      return { kind: 'compact', back: this.chance.below(12) - 2, physical: this.chance.chance(0.3) };
    if (draw < 95) return this.watch();
    if (draw < 96) return { kind: 'leases' };
    if (draw < 99) return { kind: 'progress' };
    return { kind: 'cancelWatch', watchId: BigInt(this.chance.below(8)) };
  }

  private back(): number | undefined {
    return this.chance.chance(0.4) ? this.chance.below(14) - 2 : undefined;
  }

  private key(): Buffer {
    if (this.chance.chance(0.02)) return Buffer.alloc(0);
    return Buffer.from(
      this.prefix + this.chance.pick(['a', 'a/1', 'a/2', 'b', 'b\xff', 'c', 'dd']),
      'latin1',
    );
  }

  private rangeEnd(key: Buffer): Buffer {
    switch (this.chance.pick(rangeEnds)) {
      case 'prefix':
        return Buffer.concat([key.subarray(0, -1), Buffer.from([(key.at(-1) ?? 0) + 1])]);
      case 'next':
        return this.key();
      case 'below':
        return Buffer.from(this.prefix, 'latin1');
      case '\0':
        // Everything from the key on would also show what other sequences wrote; both servers hold the same.
        return everythingAfter;
      default:
        return Buffer.alloc(0);
    }
  }

  private value(): Buffer {
    return Buffer.from(this.chance.pick(['', 'x', 'y', 'value', '\0\xff']), 'latin1');
  }

  private lease(): bigint {
    return this.chance.pick(this.leases);
  }

  private put(): etcdserverpb.PutRequest {
    const ignoreValue = this.chance.chance(0.08);
    const ignoreLease = this.chance.chance(0.08);
    return etcdserverpb.PutRequest.fromPartial({
      key: this.key(),
      value: ignoreValue && this.chance.chance(0.8) ? Buffer.alloc(0) : this.value(),
      lease: this.chance.chance(0.25) && !(ignoreLease && this.chance.chance(0.8)) ? this.lease() : 0n,
      prev_kv: this.chance.chance(0.3),
      ignore_value: ignoreValue,
      ignore_lease: ignoreLease,
    });
  }

  private range(): etcdserverpb.RangeRequest {
    const key = this.key();
    const filtered = this.chance.chance(0.15);
    const sort_target = this.chance.chance(0.3) ? this.chance.below(5) : 0;
    const end = this.rangeEnd(key);
    return etcdserverpb.RangeRequest.fromPartial({
      key,
      // etcd sorts up to twelve keys stably; the order of equals among more of them is left open.
      range_end: sort_target !== 0 && end.equals(everythingAfter) ? Buffer.alloc(0) : end,
      limit: this.chance.chance(0.3) ? BigInt(this.chance.below(4)) : 0n,
      sort_order: this.chance.chance(0.3) ? this.chance.below(3) : 0,
      sort_target,
      serializable: this.chance.chance(0.3),
      keys_only: this.chance.chance(0.15),
      count_only: this.chance.chance(0.1),
      min_mod_revision: filtered ? BigInt(this.chance.below(40)) : 0n,
      max_create_revision: filtered && this.chance.chance(0.5) ? BigInt(this.chance.below(4000)) : 0n,
    });
  }

  private deleteRange(): etcdserverpb.DeleteRangeRequest {
    const key = this.key();
    const end = this.rangeEnd(key);
    // Not from the key on: that would end every sequence at the same empty store.
    const range_end = end.equals(everythingAfter) ? Buffer.alloc(0) : end;
    return etcdserverpb.DeleteRangeRequest.fromPartial({ key, range_end, prev_kv: this.chance.chance(0.4) });
  }

  private txn(depth: number): etcdserverpb.TxnRequest {
    const many = (most: number): number[] => Array.from({ length: this.chance.below(most) }, (_, at) => at);
    return etcdserverpb.TxnRequest.fromPartial({
      compare: many(3).map(() => this.compare()),
      success: many(4).map(() => this.operation(depth)),
      failure: many(4).map(() => this.operation(depth)),
    });
  }

  private operation(depth: number): etcdserverpb.RequestOp {
    const draw = this.chance.below(100);
    if (draw < 2) return { request: undefined };
    if (draw < 40) return { request: { $case: 'request_put', value: this.put() } };
    if (draw < 65) return { request: { $case: 'request_range', value: this.range() } };
    if (draw < 85 || depth > 1)
      return { request: { $case: 'request_delete_range', value: this.deleteRange() } };
    return { request: { $case: 'request_txn', value: this.txn(depth + 1) } };
  }

  private compare(): etcdserverpb.Compare {
    const key = this.key();
    const number = BigInt(this.chance.below(4));
    const target_union = this.chance.pick([
      { $case: 'version', value: number } as const,
      { $case: 'create_revision', value: number } as const,
      { $case: 'mod_revision', value: number } as const,
      { $case: 'value', value: this.value() } as const,
      { $case: 'lease', value: this.chance.chance(0.5) ? 0n : this.lease() } as const,
    ]);
    const target = { version: 0, create_revision: 1, mod_revision: 2, value: 3, lease: 4 }[
      target_union.$case
    ];
    return etcdserverpb.Compare.fromPartial({
      result: this.chance.below(4),
      target,
      key,
      target_union,
      range_end: this.chance.chance(0.2) ? this.rangeEnd(key) : Buffer.alloc(0),
    });
  }

  private grant(): etcdserverpb.LeaseGrantRequest {
    const TTL = this.chance.chance(0.05) ? 9_000_000_001n : BigInt(this.chance.below(50) + 500);
    return { TTL, ID: this.lease() };
  }

  private watch(): Step {
    const key = this.key();
    return {
      kind: 'watch',
      // Far before the first revision is a negative one.
      back: this.chance.chance(0.02)
        ? 1_000_000
        : this.chance.chance(0.5)
          ? this.chance.below(18) - 5
          : undefined,
      request: etcdserverpb.WatchCreateRequest.fromPartial({
        key,
        range_end: this.rangeEnd(key),
        prev_kv: this.chance.chance(0.4),
        filters: this.chance.chance(0.2) ? [this.chance.below(2)] : [],
        watch_id: this.chance.chance(0.2) ? BigInt(this.chance.below(8)) : 0n,
        fragment: this.chance.chance(0.1),
      }),
    };
  }
}
