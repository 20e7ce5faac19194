import { type ProtocolErrorName } from '@conclave/protocol';

/** What went wrong, as a closed set: callers switch on it and never on a message. */
export type ErrorCode =
  | 'invalid-argument'
  | 'cancelled'
  | 'closed'
  | 'unavailable'
  | 'timeout'
  | 'maybe-applied'
  | 'unauthorized'
  | 'tls'
  | 'resource-exhausted'
  | 'compacted'
  | 'future-revision'
  | 'store-replaced'
  | 'lease-not-found'
  | 'lease-expired'
  | 'lock-lost'
  | 'lock-timeout'
  | 'deadlock'
  | 'not-held'
  | 'leadership-lost'
  | 'not-leader'
  | 'fenced-off'
  | 'config-invalid'
  | 'config-unavailable'
  | 'server';

/** Why a lease, a lock or a leadership ended without being given back. */
export type LossReason =
  | 'lease-expired-local'
  | 'lease-expired-server'
  | 'revoked'
  | 'key-deleted'
  | 'store-replaced'
  | 'clock-jump'
  | 'closed';

/** Shared by all copies of the SDK in one process, so that an error of one copy is recognised by another. */
const brand = Symbol.for('@conclave/client/error');

export interface ErrorDetails {
  readonly cause?: unknown;
  /** The member that answered, when one did. */
  readonly endpoint?: string;
  /** The row of etcd's table of errors, when the server named one. */
  readonly reason?: ProtocolErrorName;
}

/** Base of all errors of the SDK. */
export class ConclaveError extends Error {
  override readonly name: string;
  readonly endpoint: string | undefined;
  readonly reason: ProtocolErrorName | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** True when the same call may be made again with a chance of success and without doing anything twice. */
    readonly retryable: boolean,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code === 'cancelled' ? 'AbortError' : new.target.name;
    this.endpoint = details.endpoint;
    this.reason = details.reason;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** True for an error of this SDK, whichever copy of the package made it. */
export function isConclaveError(error: unknown): error is ConclaveError {
  return typeof error === 'object' && error !== null && brand in error;
}

/** An option or argument is wrong; the message names it, the value and what is allowed. */
export class InvalidArgumentError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('invalid-argument', message, false, details);
  }
}

/** The caller's AbortSignal ended the wait. Named `AbortError`, as the platform's own cancellations are. */
export class CancelledError extends ConclaveError {
  constructor(message = 'the operation was cancelled', details?: ErrorDetails) {
    super('cancelled', message, false, details);
  }
}

/** The client, the session or the lease was closed before or while the operation ran. */
export class ClosedError extends ConclaveError {
  constructor(message = 'the client is closed', details?: ErrorDetails) {
    super('closed', message, false, details);
  }
}

/** No member answered, or the one that did has no leader; nothing was changed by this call. */
export class UnavailableError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('unavailable', message, true, details);
  }
}

/** The request timeout passed before an answer to a call that changes nothing, or that was never sent. */
export class TimeoutError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('timeout', message, true, details);
  }
}

/**
 * A write was sent and never acknowledged: it may have been applied, it may still be applied later, or never. It was not
 * tried again. Read the store to find out, or make the write conditional so that it can be repeated.
 */
export class MaybeAppliedError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('maybe-applied', message, false, details);
  }
}

/** The server refused the caller: wrong or missing credentials, or no permission. */
export class UnauthorizedError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('unauthorized', message, false, details);
  }
}

/** What stands in the way of an encrypted connection. */
export type TlsProblem =
  /** The member's certificate is out of its time of validity. */
  | 'expired'
  /** It is for other names than the one that was dialled. */
  | 'wrong-host'
  /** It was signed by an authority that is not trusted here. */
  | 'unknown-authority'
  /** The member refused this client's certificate, or wants one. */
  | 'client-certificate'
  /** No TLS is spoken there. */
  | 'not-tls'
  /** The own certificates or keys cannot be used. */
  | 'files';

/** No encrypted connection could be made; nothing was sent. The message names the remedy. */
export class TlsError extends ConclaveError {
  constructor(
    readonly problem: TlsProblem,
    message: string,
    details?: ErrorDetails,
  ) {
    super('tls', message, false, details);
  }
}

/** The asked revision is no longer kept by the store. */
export class CompactedError extends ConclaveError {
  constructor(
    message: string,
    /** The oldest revision that can still be read, or 0n when the server did not say. */
    readonly compactRevision: bigint,
    details?: ErrorDetails,
  ) {
    super('compacted', message, false, details);
  }
}

/** The store behind the endpoints is another one, or was restored to an earlier revision. */
export class StoreReplacedError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('store-replaced', message, true, details);
  }
}

/** The lease is gone: expired, revoked, or no longer trusted by the clock of this process. */
export class LeaseExpiredError extends ConclaveError {
  constructor(
    message: string,
    readonly lossReason: LossReason,
    details?: ErrorDetails,
  ) {
    super('lease-expired', message, true, details);
  }
}

/** The lock is no longer held, although it was not released. */
export class LockLostError extends ConclaveError {
  constructor(
    message: string,
    readonly lossReason: LossReason,
    /** True when the guarded function had not ended when the grace after the loss was over. */
    readonly stillRunning: boolean = false,
    details?: ErrorDetails,
  ) {
    super('lock-lost', message, false, details);
  }
}

/** The leadership ended although it was not resigned. */
export class LeadershipLostError extends ConclaveError {
  constructor(
    message: string,
    readonly lossReason: LossReason,
    details?: ErrorDetails,
  ) {
    super('leadership-lost', message, false, details);
  }
}

/** What only the leader does was asked of a process that does not lead. */
export class NotLeaderError extends ConclaveError {
  constructor(
    message: string,
    /** What the leader proclaimed, its URL for example; null when nobody is known to lead. */
    readonly leader: string | null = null,
    details?: ErrorDetails,
  ) {
    super('not-leader', message, true, details);
  }
}

/** The lock did not become free within the time given to wait. */
export class LockTimeoutError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('lock-timeout', message, true, details);
  }
}

/** What is asked for is held by the very chain of calls that asks, so the wait could never end. */
export class DeadlockError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('deadlock', message, false, details);
  }
}

/** The handle was released or resigned before. */
export class NotHeldError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('not-held', message, false, details);
  }
}

/**
 * A guarded write was refused: by the store, because the key of the holder no longer exists with the holder's token, or by a
 * fencing gate, because it has let through a higher token or belongs to another store.
 */
export class FencedOffError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('fenced-off', message, false, details);
  }
}

/** A configuration was found and refused: it cannot be read, or the class does not accept it. */
export class ConfigInvalidError extends ConclaveError {
  constructor(
    /** The namespace, or the key. */
    readonly key: string,
    /** The revision that put it in force; 0n when it does not come from the store. */
    readonly revision: bigint,
    /** What is wrong with it, one sentence each. */
    readonly violations: readonly string[],
    details?: ErrorDetails,
  ) {
    super(
      'config-invalid',
      `the configuration '${key}' is refused: ${violations.join('; ')}`,
      false,
      details,
    );
  }
}

/** No configuration could be had in time: the store was not reached, and there is nothing to start with instead. */
export class ConfigUnavailableError extends ConclaveError {
  constructor(message: string, details?: ErrorDetails) {
    super('config-unavailable', message, true, details);
  }
}
