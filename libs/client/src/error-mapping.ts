import { GrpcStatus, protocolErrorNamed, type ProtocolErrorName } from '@conclave/protocol';
import {
  CancelledError,
  CompactedError,
  ConclaveError,
  type ErrorDetails,
  InvalidArgumentError,
  isConclaveError,
  MaybeAppliedError,
  TimeoutError,
  UnauthorizedError,
  UnavailableError,
} from './errors.js';
import { TransportError } from './transport.js';

/** Refused before anything was proposed: such a call may be made again, whatever it was going to change. */
const refusedBeforePropose: ReadonlySet<ProtocolErrorName> = new Set([
  'NoLeader',
  'NotCapable',
  'NotSupportedForLearner',
  'RequestTooManyRequests',
]);

/** The member answers but cannot serve: another member may. */
const memberCannotServe: ReadonlySet<ProtocolErrorName> = new Set([
  'NoLeader',
  'NotCapable',
  'NotSupportedForLearner',
  'Stopped',
  'Timeout',
  'TimeoutDueToConnectionLost',
  'TimeoutDueToLeaderFail',
]);

/** What one failed attempt means for the call and for the connection. */
export interface Failure {
  /** The call can be made again without a risk of doing anything twice. */
  readonly notApplied: boolean;
  /** A read may be made again; a write only together with `notApplied`. */
  readonly transient: boolean;
  /** What it says about the member: nothing, its connection is gone, it may hang, or it cannot serve now. */
  readonly member: 'fine' | 'lost' | 'silent' | 'unable';
  readonly error: TransportError;
}

/** Judges a failed attempt by the table of etcd's errors and, where etcd names none, by the code. */
export function classify(error: TransportError): Failure {
  const reason = protocolErrorNamed(error.message);
  if (reason !== undefined) {
    return {
      notApplied: refusedBeforePropose.has(reason),
      transient: error.code === GrpcStatus.Unavailable || refusedBeforePropose.has(reason),
      member: memberCannotServe.has(reason) ? 'unable' : 'fine',
      error,
    };
  }
  const notApplied = !error.sent;
  switch (error.code) {
    case GrpcStatus.Unavailable:
      return { notApplied, transient: true, member: 'lost', error };
    case GrpcStatus.DeadlineExceeded:
      return { notApplied, transient: true, member: 'silent', error };
    default:
      return { notApplied, transient: notApplied, member: 'fine', error };
  }
}

/** True when a write that failed like this may or may not have been applied. */
export function outcomeUnknown(failure: Failure): boolean {
  if (failure.notApplied) return false;
  const { code } = failure.error;
  if (failure.transient || code === GrpcStatus.Canceled || code === GrpcStatus.Internal) return true;
  return code === GrpcStatus.Unknown && protocolErrorNamed(failure.error.message) === undefined;
}

/** The error that the caller of a write with an unknown outcome gets. */
export function maybeApplied(what: string, error: TransportError, endpoint?: string): MaybeAppliedError {
  const message = `${what} was sent but not acknowledged (${error.message}); it may or may not have been applied`;
  return new MaybeAppliedError(message, detailsOf(error, endpoint));
}

/** The SDK's error for a status that a server sent or a transport reported. */
export function toConclaveError(error: TransportError, endpoint?: string): ConclaveError {
  const details = detailsOf(error, endpoint);
  const { message } = error;
  switch (details.reason) {
    case 'Compacted':
      return new CompactedError(message, 0n, details);
    case 'FutureRev':
      return new ConclaveError('future-revision', message, false, details);
    case 'LeaseNotFound':
      return new ConclaveError('lease-not-found', message, false, details);
    // Another member can, now or soon: whoever waits, such as a watch, goes on.
    case 'NotSupportedForLearner':
      return new UnavailableError(message, details);
    case 'UserEmpty':
      return new UnauthorizedError(
        `${message}; give createClient \`auth\`, the server wants to know who calls`,
        details,
      );
    case 'AuthFailed':
    case 'AuthOldRevision':
      return new UnauthorizedError(message, details);
    default:
      return byCode(error, details);
  }
}

function byCode(error: TransportError, details: ErrorDetails): ConclaveError {
  const { message } = error;
  switch (error.code) {
    case GrpcStatus.Canceled:
      return new CancelledError(message, details);
    case GrpcStatus.InvalidArgument:
      return new InvalidArgumentError(message, details);
    case GrpcStatus.DeadlineExceeded:
      return new TimeoutError(message, details);
    case GrpcStatus.Unavailable:
      return new UnavailableError(message, details);
    case GrpcStatus.PermissionDenied:
    case GrpcStatus.Unauthenticated:
      return new UnauthorizedError(message, details);
    case GrpcStatus.ResourceExhausted:
      return new ConclaveError('resource-exhausted', message, details.reason !== 'NoSpace', details);
    default:
      return new ConclaveError('server', message, false, details);
  }
}

function detailsOf(error: TransportError, endpoint: string | undefined): ErrorDetails {
  const reason = protocolErrorNamed(error.message);
  return {
    cause: error,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Turns anything that was caught into an error of the SDK; what is one already is kept. */
export function asConclaveError(caught: unknown): ConclaveError {
  if (isConclaveError(caught)) return caught;
  if (caught instanceof TransportError) return toConclaveError(caught);
  const message = caught instanceof Error ? caught.message : String(caught);
  return new ConclaveError('server', message, false, { cause: caught });
}

/**
 * The error of a watch that the server cancelled with a reason. Servers put the text of a gRPC error there
 * (`rpc error: code = PermissionDenied desc = etcdserver: permission denied`) or a bare sentence.
 */
export function watchCancelError(cancelReason: string): ConclaveError {
  const message = /desc = (.*)$/s.exec(cancelReason)?.[1] ?? cancelReason;
  const reason = protocolErrorNamed(message);
  switch (reason) {
    case 'PermissionDenied':
    case 'InvalidAuthToken':
    case 'AuthOldRevision':
    case 'UserEmpty':
      return new UnauthorizedError(message, { reason });
    case 'NoLeader':
    case 'WatchCanceled':
    case 'Stopped':
      return new UnavailableError(message, { reason });
    default:
      return new InvalidArgumentError(message, reason === undefined ? {} : { reason });
  }
}
