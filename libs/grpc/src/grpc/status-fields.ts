import { PreparedHeaders } from '../hpack/prepared-headers.js';
import { type GrpcStatus } from '../status.js';
import { appendMetadata, type MetadataEntries } from './metadata.js';
import { encodeStatusMessage } from './status-message.js';

/** Longer texts are cut: a client refuses header lists above its limit, often 8 KiB, and would then see no status at all. */
const messageCharactersMax = 1_500;

const responseStart = [':status', '200', 'content-type', 'application/grpc'];

/** Headers of an answer with messages. */
export const responseHeaders = new PreparedHeaders(responseStart);
export const gzipResponseHeaders = new PreparedHeaders([...responseStart, 'grpc-encoding', 'gzip']);
/** Trailers of an answer that went well. */
export const okTrailers = new PreparedHeaders(['grpc-status', '0']);
/** Headers and status of an answer that went well without a message. */
export const okTrailersOnly = new PreparedHeaders([...responseStart, 'grpc-status', '0']);

/** `grpc-status` and `grpc-message` as header fields, names and values in turn. */
export function statusFields(code: GrpcStatus, message: string): string[] {
  const text = message.length > messageCharactersMax ? `${message.slice(0, messageCharactersMax)}…` : message;
  return ['grpc-status', String(code), 'grpc-message', encodeStatusMessage(text)];
}

/** Trailers of an answer that failed after it had begun. */
export function failureTrailers(
  code: GrpcStatus,
  message: string,
  trailers: MetadataEntries | undefined,
): string[] {
  const fields = statusFields(code, message);
  if (trailers !== undefined) appendMetadata(fields, trailers);
  return fields;
}

/** Headers and status of an answer that failed before it had begun ("Trailers-Only"). */
export function failureOnly(
  code: GrpcStatus,
  message: string,
  trailers: MetadataEntries | undefined,
): string[] {
  return [...responseStart, ...failureTrailers(code, message, trailers)];
}
