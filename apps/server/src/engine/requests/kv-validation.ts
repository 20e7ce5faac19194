import { etcdserverpb, ProtocolError, type PutFields } from '@conclave/protocol';
import type { ByteString } from '../backend/backend.js';
import { IntervalSet } from './interval-set.js';

/** The rules of KV requests that hold before anything is proposed; each throws the ProtocolError that etcd answers. */

export function validateRange(request: etcdserverpb.RangeRequest): void {
  if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
  if (!(request.sort_order in etcdserverpb.RangeRequest_SortOrder) || request.sort_order < 0) {
    throw ProtocolError.of('InvalidSortOption');
  }
  if (!(request.sort_target in etcdserverpb.RangeRequest_SortTarget) || request.sort_target < 0) {
    throw ProtocolError.of('InvalidSortOption');
  }
}

export function validatePut(request: etcdserverpb.PutRequest): void {
  if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
  if (request.ignore_value && request.value.length !== 0) throw ProtocolError.of('ValueProvided');
  if (request.ignore_lease && request.lease !== 0n) throw ProtocolError.of('LeaseProvided');
}

/** As {@link validatePut}, for a put that was read in place. */
export function validatePutFields(put: PutFields): void {
  if (put.keyLength === 0) throw ProtocolError.of('EmptyKey');
  if (put.ignoreValue && put.valueLength !== 0) throw ProtocolError.of('ValueProvided');
  if (put.ignoreLease && put.lease !== 0n) throw ProtocolError.of('LeaseProvided');
}

export function validateDeleteRange(request: etcdserverpb.DeleteRangeRequest): void {
  if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
}

/**
 * A transaction is checked whole, nested ones included. Of the `maxOps` operations that a transaction may hold, a
 * nested one gets what its parent left.
 */
export function validateTxn(request: etcdserverpb.TxnRequest, maxOps: number): void {
  validateOperations(request, maxOps);
  validateDisjoint(request.success);
  validateDisjoint(request.failure);
}

function validateOperations(request: etcdserverpb.TxnRequest, maxOps: number): void {
  const operations = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (operations > maxOps) throw ProtocolError.of('TooManyOps');
  for (const compare of request.compare) {
    if (compare.key.length === 0) throw ProtocolError.of('EmptyKey');
  }
  for (const op of request.success) validateOperation(op, maxOps - operations);
  for (const op of request.failure) validateOperation(op, maxOps - operations);
}

function validateOperation(op: etcdserverpb.RequestOp, maxOps: number): void {
  const request = op.request;
  switch (request?.$case) {
    case 'request_range':
      return validateRange(request.value);
    case 'request_put':
      return validatePut(request.value);
    case 'request_delete_range':
      return validateDeleteRange(request.value);
    case 'request_txn':
      return validateOperations(request.value, maxOps);
    default:
      throw ProtocolError.of('KeyNotFound');
  }
}

interface Writes {
  readonly puts: Set<ByteString>;
  readonly deletes: IntervalSet;
}

/**
 * Within one branch no key may be put twice, nor be put and lie in a deleted range. The two branches of a nested
 * transaction exclude each other, so both may put the same key.
 */
function validateDisjoint(ops: readonly etcdserverpb.RequestOp[]): Writes {
  const writes: Writes = { puts: new Set(), deletes: new IntervalSet() };
  for (const { request } of ops) {
    if (request?.$case === 'request_delete_range') addDeleted(writes.deletes, request.value);
  }
  for (const { request } of ops) {
    if (request?.$case === 'request_txn') addNested(writes, request.value);
  }
  for (const { request } of ops) {
    if (request?.$case !== 'request_put') continue;
    addPut(writes, request.value.key.toString('latin1'));
  }
  return writes;
}

function addNested(writes: Writes, nested: etcdserverpb.TxnRequest): void {
  const success = validateDisjoint(nested.success);
  const failure = validateDisjoint(nested.failure);
  for (const key of success.puts) addPut(writes, key);
  for (const key of failure.puts) {
    if (!success.puts.has(key)) addPut(writes, key);
  }
  writes.deletes.addAll(success.deletes);
  writes.deletes.addAll(failure.deletes);
}

function addPut(writes: Writes, key: ByteString): void {
  if (writes.puts.has(key) || writes.deletes.has(key)) throw ProtocolError.of('DuplicateKey');
  writes.puts.add(key);
}

function addDeleted(deletes: IntervalSet, request: etcdserverpb.DeleteRangeRequest): void {
  const start = request.key.toString('latin1');
  const end = request.range_end.toString('latin1');
  if (end === '') deletes.add(start, `${start}\0`);
  else deletes.add(start, end === '\0' ? undefined : end);
}

/** True when a transaction changes nothing in either branch, whatever its compares give. */
export function isReadOnly(request: etcdserverpb.TxnRequest): boolean {
  return request.success.every(isReadOnlyOperation) && request.failure.every(isReadOnlyOperation);
}

function isReadOnlyOperation({ request }: etcdserverpb.RequestOp): boolean {
  if (request?.$case === 'request_txn') return isReadOnly(request.value);
  return request?.$case === 'request_range';
}

/**
 * True when a read-only transaction may be answered from local state: it has ranges, and all of them ask for that. A
 * transaction of compares alone is read linearizably (etcd takes it for serializable, which may answer stale).
 */
export function isSerializable(request: etcdserverpb.TxnRequest): boolean {
  const ops = [...request.success, ...request.failure];
  return ops.length > 0 && ops.every(isSerializableOperation);
}

function isSerializableOperation({ request }: etcdserverpb.RequestOp): boolean {
  if (request?.$case === 'request_range') return request.value.serializable;
  return request?.$case === 'request_txn' && isSerializable(request.value);
}
