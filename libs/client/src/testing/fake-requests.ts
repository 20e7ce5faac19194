import { Buffer } from 'node:buffer';
import { etcdserverpb as pb, ProtocolError } from '@conclave/protocol';

/** As etcd has it by default. */
const mostTxnOps = 128;

/** What servers refuse before they look at any key; the names are those of etcd's table of errors. */

export function checkRange(request: pb.RangeRequest): void {
  if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
  const isKnown =
    pb.RangeRequest_SortOrder[request.sort_order] !== undefined &&
    pb.RangeRequest_SortTarget[request.sort_target] !== undefined;
  if (!isKnown || request.sort_order < 0 || request.sort_target < 0)
    throw ProtocolError.of('InvalidSortOption');
}

export function checkPut(request: pb.PutRequest): void {
  if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
  if (request.ignore_value && request.value.length > 0) throw ProtocolError.of('ValueProvided');
  if (request.ignore_lease && request.lease !== 0n) throw ProtocolError.of('LeaseProvided');
}

export function checkDelete(request: pb.DeleteRangeRequest): void {
  if (request.key.length === 0) throw ProtocolError.of('EmptyKey');
}

/** Also the inner transactions. An inner one has as many operations as its outer one left. */
export function checkTxn(request: pb.TxnRequest): void {
  checkOperations(request, mostTxnOps);
  writesOf(request.success);
  writesOf(request.failure);
}

function checkOperations(request: pb.TxnRequest, most: number): void {
  const count = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (count > most) throw ProtocolError.of('TooManyOps');
  if (request.compare.some(({ key }) => key.length === 0)) throw ProtocolError.of('EmptyKey');
  for (const { request: operation } of [...request.success, ...request.failure]) {
    switch (operation?.$case) {
      case 'request_range':
        checkRange(operation.value);
        break;
      case 'request_put':
        checkPut(operation.value);
        break;
      case 'request_delete_range':
        checkDelete(operation.value);
        break;
      case 'request_txn':
        checkOperations(operation.value, most - count);
        break;
      case undefined:
        throw ProtocolError.of('KeyNotFound');
    }
  }
}

interface Writes {
  readonly puts: Buffer[];
  readonly deletes: pb.DeleteRangeRequest[];
}

/** What one branch may write. @throws ProtocolError DuplicateKey when a key is put twice, or put and deleted. */
function writesOf(operations: readonly pb.RequestOp[]): Writes {
  const all: Writes = { puts: [], deletes: [] };
  for (const { request } of operations) {
    if (request?.$case === 'request_delete_range') all.deletes.push(request.value);
  }
  for (const { request } of operations) {
    if (request?.$case !== 'request_txn') continue;
    // Only one of the two runs, so both may put the same key.
    const [success, failure] = [writesOf(request.value.success), writesOf(request.value.failure)];
    for (const key of success.puts) addPut(all, key);
    for (const key of failure.puts) if (!success.puts.some((other) => other.equals(key))) addPut(all, key);
    all.deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const { request } of operations) {
    if (request?.$case === 'request_put') addPut(all, request.value.key);
  }
  return all;
}

function addPut({ puts, deletes }: Writes, key: Buffer): void {
  const isTaken =
    puts.some((other) => other.equals(key)) ||
    deletes.some((range) => covers(range.key, range.range_end, key));
  if (isTaken) throw ProtocolError.of('DuplicateKey');
  puts.push(key);
}

/** Whether a key lies in a range of a request: no end means one key, one zero byte means all from the start on. */
export function covers(start: Buffer, end: Buffer, key: Buffer): boolean {
  if (end.length === 0) return start.equals(key);
  if (Buffer.compare(key, start) < 0) return false;
  return (end.length === 1 && end[0] === 0) || Buffer.compare(key, end) < 0;
}
