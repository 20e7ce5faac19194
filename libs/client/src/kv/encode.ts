import { etcdserverpb as pb } from '@conclave/protocol';
import { InvalidArgumentError } from '../errors.js';
import { bytesOf, type Key, type KeyNamespace, type Value } from '../key-range.js';
import {
  type Comparison,
  type DeleteOptions,
  type Operation,
  type PutOptions,
  type RangeOptions,
  type Relation,
} from './operations.js';

const sortTargets = {
  key: pb.RangeRequest_SortTarget.KEY,
  version: pb.RangeRequest_SortTarget.VERSION,
  create: pb.RangeRequest_SortTarget.CREATE,
  mod: pb.RangeRequest_SortTarget.MOD,
  value: pb.RangeRequest_SortTarget.VALUE,
} as const;

const relations: Readonly<Record<Relation, pb.Compare_CompareResult>> = {
  '=': pb.Compare_CompareResult.EQUAL,
  '!=': pb.Compare_CompareResult.NOT_EQUAL,
  '<': pb.Compare_CompareResult.LESS,
  '>': pb.Compare_CompareResult.GREATER,
};

export function rangeRequest(names: KeyNamespace, key: Key, options: RangeOptions): pb.RangeRequest {
  const { start, end } = names.range(key, options);
  const { sort, limit = 0 } = options;
  if (!Number.isSafeInteger(limit) || limit < 0) {
    throw new InvalidArgumentError(`limit: ${limit} is not a whole number from 0 (no limit) on`);
  }
  const order =
    sort?.order === 'descend' ? pb.RangeRequest_SortOrder.DESCEND : pb.RangeRequest_SortOrder.ASCEND;
  return {
    key: start,
    range_end: end,
    limit: BigInt(limit),
    revision: options.revision ?? 0n,
    sort_order: sort === undefined ? pb.RangeRequest_SortOrder.NONE : order,
    sort_target: sortTargets[sort?.by ?? 'key'],
    serializable: options.serializable ?? false,
    keys_only: options.keysOnly ?? false,
    count_only: options.countOnly ?? false,
    min_mod_revision: options.minModRevision ?? 0n,
    max_mod_revision: options.maxModRevision ?? 0n,
    min_create_revision: options.minCreateRevision ?? 0n,
    max_create_revision: options.maxCreateRevision ?? 0n,
  };
}

/** @throws InvalidArgumentError for an empty key, or both a lease and keepLease. */
export function putRequest(names: KeyNamespace, key: Key, value: Value, options: PutOptions): pb.PutRequest {
  if (options.keepLease === true && options.lease !== undefined) {
    throw new InvalidArgumentError('lease and keepLease: give one of them');
  }
  return {
    key: names.key(key),
    value: bytesOf(value),
    lease: options.lease ?? 0n,
    prev_kv: options.prevKv ?? false,
    ignore_value: false,
    ignore_lease: options.keepLease ?? false,
  };
}

export function deleteRequest(names: KeyNamespace, key: Key, options: DeleteOptions): pb.DeleteRangeRequest {
  const { start, end } = names.range(key, options);
  return { key: start, range_end: end, prev_kv: options.prevKv ?? false };
}

export function compareMessage(names: KeyNamespace, comparison: Comparison): pb.Compare {
  const { start, end } = names.range(comparison.key, comparison.selection);
  const place = { result: relations[comparison.relation], key: start, range_end: end };
  const target = pb.Compare_CompareTarget;
  switch (comparison.target) {
    case 'version':
      return {
        ...place,
        target: target.VERSION,
        target_union: { $case: 'version', value: comparison.operand },
      };
    case 'create':
      return {
        ...place,
        target: target.CREATE,
        target_union: { $case: 'create_revision', value: comparison.operand },
      };
    case 'mod':
      return {
        ...place,
        target: target.MOD,
        target_union: { $case: 'mod_revision', value: comparison.operand },
      };
    case 'lease':
      return { ...place, target: target.LEASE, target_union: { $case: 'lease', value: comparison.operand } };
    case 'value':
      return {
        ...place,
        target: target.VALUE,
        target_union: { $case: 'value', value: bytesOf(comparison.operand) },
      };
  }
}

export function operationMessage(names: KeyNamespace, operation: Operation): pb.RequestOp {
  switch (operation.kind) {
    case 'range':
      return {
        request: { $case: 'request_range', value: rangeRequest(names, operation.key, operation.options) },
      };
    case 'put':
      return {
        request: {
          $case: 'request_put',
          value: putRequest(names, operation.key, operation.value, operation.options),
        },
      };
    case 'delete':
      return {
        request: {
          $case: 'request_delete_range',
          value: deleteRequest(names, operation.key, operation.options),
        },
      };
    case 'txn':
      return { request: { $case: 'request_txn', value: operation.txn.toRequest() } };
  }
}
