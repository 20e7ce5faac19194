import { etcdserverpb, ProtocolError } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { isReadOnly, isSerializable, validateRange, validateTxn } from './kv-validation.js';

type Op = etcdserverpb.RequestOp;

const put = (key: string): Op => ({
  request: { $case: 'request_put', value: etcdserverpb.PutRequest.fromPartial({ key: Buffer.from(key) }) },
});
const range = (key: string, serializable = false): Op => ({
  request: {
    $case: 'request_range',
    value: etcdserverpb.RangeRequest.fromPartial({ key: Buffer.from(key), serializable }),
  },
});
const remove = (key: string, end = ''): Op => ({
  request: {
    $case: 'request_delete_range',
    value: etcdserverpb.DeleteRangeRequest.fromPartial({
      key: Buffer.from(key),
      range_end: Buffer.from(end),
    }),
  },
});
const txn = (success: Op[], failure: Op[] = []): etcdserverpb.TxnRequest => ({
  compare: [],
  success,
  failure,
});
const nested = (success: Op[], failure: Op[] = []): Op => ({
  request: { $case: 'request_txn', value: txn(success, failure) },
});

function refusal(request: etcdserverpb.TxnRequest, maxOps = 128): string {
  try {
    validateTxn(request, maxOps);
    return 'ok';
  } catch (error) {
    return error instanceof ProtocolError ? String(error.reason) : 'unexpected';
  }
}

describe('validateTxn', () => {
  it.each([
    ['the same key put twice', txn([put('a'), put('a')]), 'DuplicateKey'],
    ['different keys', txn([put('a'), put('b')]), 'ok'],
    ['the same key in both branches', txn([put('a')], [put('a')]), 'ok'],
    ['a put inside of a deleted range', txn([remove('a', 'c'), put('b')]), 'DuplicateKey'],
    ['a put at the end of a deleted range', txn([put('c'), remove('a', 'c')]), 'ok'],
    ['a put above a delete without end', txn([remove('b', '\0'), put('c')]), 'DuplicateKey'],
    ['overlapping deletes', txn([remove('a', 'c'), remove('b', 'd')]), 'ok'],
    ['both branches of a nested transaction', txn([nested([put('a')], [put('a')])]), 'ok'],
    ['a key put by parent and nested', txn([put('a'), nested([], [put('a')])]), 'DuplicateKey'],
    ['a key put by two nested', txn([nested([put('a')]), nested([put('a')])]), 'DuplicateKey'],
    ['a nested delete of what the parent puts', txn([put('b'), nested([remove('a', 'c')])]), 'DuplicateKey'],
    ['an operation without a request', txn([{ request: undefined }]), 'KeyNotFound'],
    ['an empty key', txn([nested([put('')])]), 'EmptyKey'],
  ])('%s', (_what, request, expected) => {
    expect(refusal(request)).toBe(expected);
  });

  it('counts the longest list, and gives a nested transaction what its parent left', () => {
    const three = [put('a'), put('b'), put('c')];
    expect(refusal(txn(three), 3)).toBe('ok');
    expect(refusal(txn(three), 2)).toBe('TooManyOps');
    expect(refusal(txn([nested(three)]), 4)).toBe('ok');
    expect(refusal(txn([nested(three)]), 3)).toBe('TooManyOps');
  });
});

describe('validateRange', () => {
  it.each([
    [{ sort_order: 3 }, 'InvalidSortOption'],
    [{ sort_target: 5 }, 'InvalidSortOption'],
    [{ sort_order: -1 }, 'InvalidSortOption'],
    [{ key: Buffer.alloc(0) }, 'EmptyKey'],
  ])('refuses %j', (fields, expected) => {
    const request = etcdserverpb.RangeRequest.fromPartial({ key: Buffer.from('a'), ...fields });
    expect(() => validateRange(request)).toThrow(ProtocolError.of(expected as 'EmptyKey').message);
  });
});

describe('read-only transactions', () => {
  it('have ranges only, nested ones included', () => {
    expect(isReadOnly(txn([range('a'), nested([range('b')])]))).toBe(true);
    expect(isReadOnly(txn([range('a')], [put('b')]))).toBe(false);
    expect(isReadOnly(txn([nested([remove('b')])]))).toBe(false);
  });

  it('are serializable only when there are ranges and all ask for it', () => {
    expect(isSerializable(txn([range('a', true)], [range('b', true)]))).toBe(true);
    expect(isSerializable(txn([range('a', true), range('b')]))).toBe(false);
    expect(isSerializable(txn([]))).toBe(false);
  });
});
