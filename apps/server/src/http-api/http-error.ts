import { Buffer } from 'node:buffer';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { GrpcStatus } from '@conclave/protocol';

/** HTTP status of a gRPC status, as grpc-gateway maps them. */
const httpStatuses: Readonly<Record<GrpcStatus, number>> = {
  [GrpcStatus.OK]: 200,
  [GrpcStatus.Canceled]: 499,
  [GrpcStatus.Unknown]: 500,
  [GrpcStatus.InvalidArgument]: 400,
  [GrpcStatus.DeadlineExceeded]: 504,
  [GrpcStatus.NotFound]: 404,
  [GrpcStatus.AlreadyExists]: 409,
  [GrpcStatus.PermissionDenied]: 403,
  [GrpcStatus.ResourceExhausted]: 429,
  [GrpcStatus.FailedPrecondition]: 400,
  [GrpcStatus.Aborted]: 409,
  [GrpcStatus.OutOfRange]: 400,
  [GrpcStatus.Unimplemented]: 501,
  [GrpcStatus.Internal]: 500,
  [GrpcStatus.Unavailable]: 503,
  [GrpcStatus.DataLoss]: 500,
  [GrpcStatus.Unauthenticated]: 401,
};

/** A failure as the JSON API tells it. */
export interface HttpFailure {
  readonly code: GrpcStatus;
  readonly message: string;
  /** Overrides the status that follows from `code`. */
  readonly httpStatus?: number;
}

export function httpStatusOf(failure: HttpFailure): number {
  return failure.httpStatus ?? httpStatuses[failure.code];
}

/** The body of a failed request: `code`, `message` and `details` for clients of etcd 3.6, `error` for older ones. */
export function failureBody({ code, message }: HttpFailure): string {
  return JSON.stringify({ error: message, code, message, details: [] });
}

/** The line that ends a stream that failed, with the fields that clients of etcd 3.6 and of older ones read. */
export function failureLine(failure: HttpFailure): string {
  const { code, message } = failure;
  const httpCode = httpStatusOf(failure);
  const httpStatus = STATUS_CODES[httpCode] ?? 'Client Closed Request';
  const error = { grpc_code: code, http_code: httpCode, message, http_status: httpStatus, code, details: [] };
  return `${JSON.stringify({ error })}\n`;
}

/** Answers with a failure, unless an answer has begun. */
export function sendFailure(
  response: ServerResponse,
  failure: HttpFailure,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const body = failureBody(failure);
  response.writeHead(httpStatusOf(failure), {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(body);
}
