import { Buffer } from 'node:buffer';
import { etcdserverpb } from '@conclave/protocol';
import { type StoredKeyValue } from '../mvcc/key-value.js';
import { type MvccStore } from '../mvcc/mvcc-store.js';
import { boundsOf } from './range-query.js';

const { CompareResult, CompareTarget } = {
  CompareResult: etcdserverpb.Compare_CompareResult,
  CompareTarget: etcdserverpb.Compare_CompareTarget,
};

/**
 * True when the compare holds on the store's current state. A compare over a range holds when every key in it does; a
 * missing key (or an empty range) counts as version, create and mod revision and lease 0, and as unequal to any value.
 */
export function compareHolds(store: MvccStore, compare: etcdserverpb.Compare): boolean {
  const { kvs } = store.range({ bounds: boundsOf(compare.key, compare.range_end) });
  if (kvs.length > 0) return kvs.every((kv) => compareOne(compare, kv));
  return compare.target !== CompareTarget.VALUE && compareOne(compare, undefined);
}

function compareOne(compare: etcdserverpb.Compare, kv: StoredKeyValue | undefined): boolean {
  const order = orderOf(compare, kv);
  switch (compare.result) {
    case CompareResult.EQUAL:
      return order === 0;
    case CompareResult.NOT_EQUAL:
      return order !== 0;
    case CompareResult.GREATER:
      return order > 0;
    case CompareResult.LESS:
      return order < 0;
    default:
      return true;
  }
}

/** The order of the stored value against the one given: negative, 0 or positive. */
function orderOf(compare: etcdserverpb.Compare, kv: StoredKeyValue | undefined): number {
  const union = compare.target_union;
  switch (compare.target) {
    case CompareTarget.VALUE: {
      const given = union?.$case === 'value' ? union.value : Buffer.alloc(0);
      return Buffer.compare(kv?.value ?? Buffer.alloc(0), given);
    }
    case CompareTarget.CREATE:
      return orderOfNumbers(BigInt(kv?.create ?? 0), union?.$case === 'create_revision' ? union.value : 0n);
    case CompareTarget.MOD:
      return orderOfNumbers(BigInt(kv?.mod ?? 0), union?.$case === 'mod_revision' ? union.value : 0n);
    case CompareTarget.VERSION:
      return orderOfNumbers(BigInt(kv?.version ?? 0), union?.$case === 'version' ? union.value : 0n);
    case CompareTarget.LEASE:
      return orderOfNumbers(kv?.lease ?? 0n, union?.$case === 'lease' ? union.value : 0n);
    default:
      return 0;
  }
}

function orderOfNumbers(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
