import { type Buffer } from 'node:buffer';
import { type etcdserverpb } from '@conclave/protocol';
import { rangeBounds, type RangeBounds } from '../mvcc/range-bounds.js';
import { type RangeQuery, type SortOrder, type SortTarget } from '../mvcc/range-query.js';

/**
 * A Range request as the store's query. Revisions above what a safe integer holds lie in the future of any store, and
 * stay so when they are cut to the largest one.
 */
export function rangeQuery(request: etcdserverpb.RangeRequest): RangeQuery {
  return {
    bounds: boundsOf(request.key, request.range_end),
    revision: counter(request.revision),
    limit: counter(request.limit),
    // The store's enums have the numbers of the wire's; the request was validated.
    sortOrder: request.sort_order as number as SortOrder,
    sortTarget: request.sort_target as number as SortTarget,
    keysOnly: request.keys_only,
    countOnly: request.count_only,
    minMod: counter(request.min_mod_revision),
    maxMod: counter(request.max_mod_revision),
    minCreate: counter(request.min_create_revision),
    maxCreate: counter(request.max_create_revision),
  };
}

/** The keys that a request means, as byte strings. */
export function boundsOf(key: Buffer, rangeEnd: Buffer): RangeBounds {
  return rangeBounds(key.toString('latin1'), rangeEnd.toString('latin1'));
}

/** A count or revision of the wire as a number; negative ones mean the same as 0 everywhere. */
function counter(value: bigint): number {
  if (value <= 0n) return 0;
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
