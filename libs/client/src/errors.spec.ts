import { GrpcStatus, protocolErrors } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { classify, outcomeUnknown, toConclaveError, watchCancelError } from './error-mapping.js';
import { CancelledError, isConclaveError, LockLostError } from './errors.js';
import { TransportError } from './transport.js';

describe('errors', () => {
  it('carry a brand, so that another copy of the package recognises them', () => {
    const other = Object.assign(new Error('of another copy'), {
      [Symbol.for('@conclave/client/error')]: true,
    });
    expect(
      [new CancelledError(), other, new Error('x'), null, 'x'].map((error) => isConclaveError(error)),
    ).toEqual([true, true, false, false, false]);
  });

  it('are named by their class, cancellations as the platform names them', () => {
    expect(new LockLostError('x', 'revoked').name).toBe('LockLostError');
    expect(new CancelledError().name).toBe('AbortError');
    expect(new CancelledError(undefined, { cause: 'why' }).cause).toBe('why');
  });

  it.each(Object.entries(protocolErrors))('%s is mapped by its row, with the reason kept', (name, row) => {
    const error = toConclaveError(new TransportError(row.code, row.message, true), 'a:1');
    expect(error).toMatchObject({ reason: name, endpoint: 'a:1' });
    // What to do about it may follow.
    expect(error.message.startsWith(row.message)).toBe(true);
    expect(error.code).not.toBe('closed');
    // A learner cannot, another member can: whoever waits goes on.
    if (row.code === GrpcStatus.Unavailable || name === 'NotSupportedForLearner')
      expect(error).toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('call the outcome of a write unknown exactly when it is', () => {
    const unknown = (code: GrpcStatus, message: string, sent = true) =>
      outcomeUnknown(classify(new TransportError(code, message, sent)));
    expect(unknown(GrpcStatus.Unavailable, 'connection reset')).toBe(true);
    expect(unknown(GrpcStatus.Unavailable, 'connection refused', false)).toBe(false);
    expect(unknown(GrpcStatus.DeadlineExceeded, 'deadline')).toBe(true);
    expect(unknown(GrpcStatus.Canceled, 'stream reset')).toBe(true);
    expect(unknown(GrpcStatus.Internal, 'stream reset')).toBe(true);
    expect(unknown(GrpcStatus.Unknown, 'anything')).toBe(true);
    expect(unknown(GrpcStatus.Unavailable, protocolErrors.Stopped.message)).toBe(true);
    expect(unknown(GrpcStatus.Unavailable, protocolErrors.NoLeader.message)).toBe(false);
    expect(unknown(GrpcStatus.Unknown, protocolErrors.RequestTooManyRequests.message)).toBe(false);
    expect(unknown(GrpcStatus.InvalidArgument, protocolErrors.EmptyKey.message)).toBe(false);
  });

  it('are read from the text with which a server cancels a watch', () => {
    const denied = watchCancelError(
      'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    );
    expect(denied).toMatchObject({ code: 'unauthorized', reason: 'PermissionDenied', retryable: false });
    expect(watchCancelError('etcdserver: no leader')).toMatchObject({ code: 'unavailable', retryable: true });
    expect(watchCancelError('mvcc: watcher range is empty')).toMatchObject({ code: 'invalid-argument' });
  });
});
