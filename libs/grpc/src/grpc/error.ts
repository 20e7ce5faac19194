import { ErrorCode, errorCodeName } from '../http2/error-code.js';
import { GrpcStatus } from '../status.js';
import { type IncomingMetadata } from './metadata.js';

export interface GrpcErrorOptions {
  /** Trailers of the answer, when there was one. */
  readonly metadata?: IncomingMetadata;
  /** True only when the request certainly was not processed by the peer. */
  readonly notSent?: boolean;
  readonly cause?: unknown;
}

/** A call that ended with a status other than OK; callers switch on `code`. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  /** Trailers of the answer; undefined when the peer did not answer. */
  readonly metadata: IncomingMetadata | undefined;
  /**
   * True only when the request certainly was not processed by the peer: the connection was never established, the
   * stream was refused (RFC 9113 §8.7), or the peer's GOAWAY says that it did not look at it. Such a call may be
   * repeated elsewhere whatever it does. False means unknown.
   */
  readonly notSent: boolean;

  constructor(
    readonly code: GrpcStatus,
    message: string,
    options: GrpcErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.metadata = options.metadata;
    this.notSent = options.notSent ?? false;
  }

  /** The code by its name, as `Unavailable`. */
  get codeName(): string {
    return GrpcStatus[this.code] ?? String(this.code);
  }
}

/** What an HTTP status means for a call whose answer is no gRPC (gRPC's "HTTP to gRPC Status Code Mapping"). */
export function statusOfHttp(httpStatus: number): GrpcStatus {
  switch (httpStatus) {
    case 400:
      return GrpcStatus.Internal;
    case 401:
      return GrpcStatus.Unauthenticated;
    case 403:
      return GrpcStatus.PermissionDenied;
    case 404:
      return GrpcStatus.Unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.Unavailable;
    default:
      return GrpcStatus.Unknown;
  }
}

/** What RST_STREAM means for a call (gRPC over HTTP/2, "Errors"). */
export function errorOfReset(code: number): GrpcError {
  const message = `the stream was reset with ${errorCodeName(code)}`;
  switch (code) {
    case ErrorCode.REFUSED_STREAM:
      return new GrpcError(GrpcStatus.Unavailable, message, { notSent: true });
    case ErrorCode.CANCEL:
      return new GrpcError(GrpcStatus.Canceled, message);
    case ErrorCode.ENHANCE_YOUR_CALM:
      return new GrpcError(GrpcStatus.ResourceExhausted, message);
    case ErrorCode.INADEQUATE_SECURITY:
      return new GrpcError(GrpcStatus.PermissionDenied, message);
    default:
      return new GrpcError(GrpcStatus.Internal, message);
  }
}
