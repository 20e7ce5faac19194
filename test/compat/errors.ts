import { etcdserverpb } from '@conclave/protocol';

/** One refused call. `{…}` requests are what the message takes; each row is sent to both servers. */
export interface ErrorCase {
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly code: number;
  readonly message: string;
  /** What 3.4 says instead, and why ours does not; without an answer it must not be asked. */
  readonly etcd34?: { readonly answer?: string; readonly because: string };
}

/** What `prepare` leaves behind: key `k` with versions up to the current revision, compacted at 5, and lease 7. */
export const compactedRevision = 5n;
export const grantedLease = 7n;

const pb = etcdserverpb;
const key = Buffer.from('k');
const absent = Buffer.from('absent');
const far = 1_000_000n;

const emptyKey = { code: 3, message: 'etcdserver: key is not provided' };
const keyNotFound = { code: 3, message: 'etcdserver: key not found' };
const valueProvided = { code: 3, message: 'etcdserver: value is provided' };
const leaseProvided = { code: 3, message: 'etcdserver: lease is provided' };
const tooManyOps = { code: 3, message: 'etcdserver: too many operations in txn request' };
const duplicateKey = { code: 3, message: 'etcdserver: duplicate key given in txn request' };
const compacted = { code: 11, message: 'etcdserver: mvcc: required revision has been compacted' };
const futureRevision = { code: 11, message: 'etcdserver: mvcc: required revision is a future revision' };
const leaseNotFound = { code: 5, message: 'etcdserver: requested lease not found' };
const tooLarge = { code: 3, message: 'etcdserver: request is too large' };
const sortOption = {
  code: 3,
  message: 'etcdserver: invalid sort option',
  etcd34: { answer: 'ok', because: 'invalid sort options are refused since 3.6' },
};

type Status = Pick<ErrorCase, 'code' | 'message' | 'etcd34'>;

function range(name: string, request: Partial<etcdserverpb.RangeRequest>, status: Status): ErrorCase {
  const bytes = pb.RangeRequest.encode(pb.RangeRequest.fromPartial(request)).finish();
  return { name: `range ${name}`, path: 'KV/Range', bytes, ...status };
}

function put(name: string, request: Partial<etcdserverpb.PutRequest>, status: Status): ErrorCase {
  const bytes = pb.PutRequest.encode(pb.PutRequest.fromPartial(request)).finish();
  return { name: `put ${name}`, path: 'KV/Put', bytes, ...status };
}

function txn(name: string, request: Partial<etcdserverpb.TxnRequest>, status: Status): ErrorCase {
  const bytes = pb.TxnRequest.encode(pb.TxnRequest.fromPartial(request)).finish();
  return { name: `txn ${name}`, path: 'KV/Txn', bytes, ...status };
}

function putOp(request: Partial<etcdserverpb.PutRequest>): etcdserverpb.RequestOp {
  return { request: { $case: 'request_put', value: pb.PutRequest.fromPartial(request) } };
}

function rangeOp(request: Partial<etcdserverpb.RangeRequest>): etcdserverpb.RequestOp {
  return { request: { $case: 'request_range', value: pb.RangeRequest.fromPartial(request) } };
}

function deleteOp(request: Partial<etcdserverpb.DeleteRangeRequest>): etcdserverpb.RequestOp {
  return { request: { $case: 'request_delete_range', value: pb.DeleteRangeRequest.fromPartial(request) } };
}

function txnOp(request: Partial<etcdserverpb.TxnRequest>): etcdserverpb.RequestOp {
  return { request: { $case: 'request_txn', value: pb.TxnRequest.fromPartial(request) } };
}

const manyRanges = (count: number): etcdserverpb.RequestOp[] =>
  Array.from({ length: count }, () => rangeOp({ key }));

const manyCompares = Array.from({ length: 129 }, () =>
  pb.Compare.fromPartial({ key, target_union: { $case: 'version', value: 1n } }),
);

const ranges: readonly ErrorCase[] = [
  range('of no key', {}, emptyKey),
  range('of no key up to a key', { range_end: key }, emptyKey),
  range('below the compacted revision', { key, revision: compactedRevision - 1n }, compacted),
  range('of the future', { key, revision: far }, futureRevision),
  range('of the future, serializable', { key, revision: far, serializable: true }, futureRevision),
  range('count below the compacted revision', { key, revision: 1n, count_only: true }, compacted),
  range('with an unknown order', { key, sort_order: 9 as never }, sortOption),
  range(
    'with an unknown target',
    { key, sort_order: 1, sort_target: 9 as never },
    {
      ...sortOption,
      etcd34: { because: 'the process of 3.4 dies of it' },
    },
  ),
];

const puts: readonly ErrorCase[] = [
  put('of no key', {}, emptyKey),
  put('with an unknown lease', { key, lease: 404n }, leaseNotFound),
  put('with ignore_value and a value', { key, value: key, ignore_value: true }, valueProvided),
  put('with ignore_lease and a lease', { key, lease: grantedLease, ignore_lease: true }, leaseProvided),
  put('with ignore_value of no such key', { key: absent, ignore_value: true }, keyNotFound),
  put('with ignore_lease of no such key', { key: absent, ignore_lease: true }, keyNotFound),
  put('of no key with everything else wrong too', { value: key, ignore_value: true, lease: 404n }, emptyKey),
  put('of no such key under no such lease', { key: absent, ignore_value: true, lease: 404n }, leaseNotFound),
  put('above the limit of a request', { key, value: Buffer.alloc(1_572_864) }, tooLarge),
];

const deletes: readonly ErrorCase[] = [
  {
    name: 'delete of no key',
    path: 'KV/DeleteRange',
    bytes: pb.DeleteRangeRequest.encode(pb.DeleteRangeRequest.fromPartial({ range_end: key })).finish(),
    ...emptyKey,
  },
];

const txns: readonly ErrorCase[] = [
  txn('compare without a key', { compare: [pb.Compare.fromPartial({})] }, emptyKey),
  txn('put without a key', { success: [putOp({})] }, emptyKey),
  txn('put without a key in the branch not taken', { failure: [putOp({})] }, emptyKey),
  txn('range without a key', { success: [rangeOp({})] }, emptyKey),
  txn('delete without a key', { success: [deleteOp({})] }, emptyKey),
  txn('operation without content', { success: [{ request: undefined }] }, keyNotFound),
  txn('more than 128 operations', { success: manyRanges(129) }, tooManyOps),
  txn('more than 128 operations in the other branch', { failure: manyRanges(129) }, tooManyOps),
  txn('more than 128 compares', { compare: manyCompares }, tooManyOps),
  txn('more than 128 operations, nested', { success: [txnOp({ success: manyRanges(128) })] }, tooManyOps),
  txn('two puts of a key', { success: [putOp({ key }), putOp({ key })] }, duplicateKey),
  txn(
    'a put inside a delete',
    { success: [putOp({ key }), deleteOp({ key, range_end: Buffer.from('l') })] },
    duplicateKey,
  ),
  txn('a delete before the put inside it', { success: [deleteOp({ key }), putOp({ key })] }, duplicateKey),
  txn(
    'a nested put of a key',
    { success: [putOp({ key }), txnOp({ success: [putOp({ key })] })] },
    duplicateKey,
  ),
  txn(
    'a nested delete over a put',
    { success: [txnOp({ failure: [deleteOp({ key })] }), putOp({ key })] },
    duplicateKey,
  ),
  txn('put with an unknown lease', { success: [putOp({ key, lease: 404n })] }, leaseNotFound),
  txn(
    'put with ignore_value and a value',
    { success: [putOp({ key, value: key, ignore_value: true })] },
    valueProvided,
  ),
  txn(
    'put with ignore_lease and a lease',
    { success: [putOp({ key, lease: 7n, ignore_lease: true })] },
    leaseProvided,
  ),
  txn('put of no such key', { success: [putOp({ key: absent, ignore_value: true })] }, keyNotFound),
  txn(
    'put of no such key under no such lease',
    { success: [putOp({ key: absent, ignore_value: true, lease: 404n })] },
    keyNotFound,
  ),
  txn('range of the future', { success: [rangeOp({ key, revision: far })] }, futureRevision),
  txn('range below the compacted revision', { success: [rangeOp({ key, revision: 1n })] }, compacted),
  txn(
    'range of the future behind a put',
    { success: [putOp({ key }), rangeOp({ key, revision: far })] },
    futureRevision,
  ),
  txn(
    'range of the past before a bad put',
    { success: [rangeOp({ key, revision: 1n }), putOp({ key, lease: 404n })] },
    leaseNotFound,
  ),
];

function compaction(name: string, revision: bigint, status: Status): ErrorCase {
  const bytes = pb.CompactionRequest.encode({ revision, physical: false }).finish();
  return { name: `compaction ${name}`, path: 'KV/Compact', bytes, ...status };
}

function grant(name: string, request: etcdserverpb.LeaseGrantRequest, status: Status): ErrorCase {
  const bytes = pb.LeaseGrantRequest.encode(request).finish();
  return { name: `lease grant ${name}`, path: 'Lease/LeaseGrant', bytes, ...status };
}

const others: readonly ErrorCase[] = [
  compaction('at the compacted revision', compactedRevision, compacted),
  compaction('below the compacted revision', 1n, compacted),
  compaction('at a negative revision', -1n, compacted),
  compaction('of the future', far, futureRevision),
  grant(
    'of an existing lease',
    { ID: grantedLease, TTL: 100n },
    { code: 9, message: 'etcdserver: lease already exists' },
  ),
  grant(
    'above the largest TTL',
    { ID: 8n, TTL: 9_000_000_001n },
    { code: 11, message: 'etcdserver: too large lease TTL' },
  ),
  {
    name: 'lease revoke of an unknown lease',
    path: 'Lease/LeaseRevoke',
    bytes: pb.LeaseRevokeRequest.encode({ ID: 404n }).finish(),
    ...leaseNotFound,
  },
];

export const errorCases: readonly ErrorCase[] = [...ranges, ...puts, ...deletes, ...txns, ...others];
