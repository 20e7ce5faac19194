import { type HeaderBlock } from '../http2/header-block.js';
import { GrpcStatus } from '../status.js';
import { classifyContentType } from './content-type.js';
import { GrpcError, statusOfHttp } from './error.js';
import { IncomingMetadata } from './metadata.js';
import { decodeStatusMessage } from './status-message.js';

const codeFormat = /^(0|[1-9]\d{0,8})$/;
const codeMax = 16;

/**
 * The outcome that trailers, or headers without a body, tell: undefined for OK. A status that is missing or malformed
 * is an error of its own; a code that gRPC does not define counts as Unknown.
 */
export function outcomeOfTrailers(block: HeaderBlock): GrpcError | undefined {
  const status = block.get('grpc-status');
  const metadata = new IncomingMetadata(block);
  if (status === undefined || !codeFormat.test(status)) {
    const problem =
      status === undefined ? 'the answer ended without grpc-status' : `malformed grpc-status: ${status}`;
    return new GrpcError(GrpcStatus.Unknown, problem, { metadata });
  }
  const code = Number(status);
  if (code === 0) return undefined;
  const message = decodeStatusMessage(block.get('grpc-message') ?? '');
  return new GrpcError(code <= codeMax ? code : GrpcStatus.Unknown, message, { metadata });
}

/** What makes an answer no gRPC answer, or undefined when the headers promise one. */
export function problemOfHeaders(block: HeaderBlock): GrpcError | undefined {
  const httpStatus = block.get(':status') ?? '';
  const contentType = block.get('content-type');
  const isGrpc = classifyContentType(contentType) !== 'other';
  if (httpStatus === '200' && isGrpc) return undefined;
  const metadata = new IncomingMetadata(block);
  // Some servers give a status of gRPC beside an HTTP error; it says more.
  const told = block.get('grpc-status') === undefined ? undefined : outcomeOfTrailers(block);
  if (told !== undefined) return told;
  if (httpStatus !== '200') {
    const message = `unexpected HTTP status ${httpStatus} from the server`;
    return new GrpcError(statusOfHttp(Number(httpStatus)), message, { metadata });
  }
  const message = `unexpected content-type ${JSON.stringify(contentType ?? '')} from the server`;
  return new GrpcError(GrpcStatus.Unknown, message, { metadata });
}
