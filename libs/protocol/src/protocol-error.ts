import { type GrpcStatus } from '@conclave/grpc/status';
import { protocolErrors, type ProtocolErrorName } from './errors.js';

/**
 * An error that etcd's contract names. It carries the row's name, gRPC code and exact message; callers switch on
 * `reason`, never on the text.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** The row of {@link protocolErrors}, or undefined for an error that etcd does not name (see {@link ProtocolError.unnamed}). */
  readonly reason: ProtocolErrorName | undefined;
  readonly code: GrpcStatus;

  private constructor(reason: ProtocolErrorName | undefined, code: GrpcStatus, message: string) {
    super(message);
    this.reason = reason;
    this.code = code;
  }

  static of(reason: ProtocolErrorName): ProtocolError {
    const row = protocolErrors[reason];
    return new ProtocolError(reason, row.code, row.message);
  }

  /** An error for which etcd has no row; the message says what is wrong and what to do. */
  static unnamed(code: GrpcStatus, message: string): ProtocolError {
    return new ProtocolError(undefined, code, message);
  }
}
