import { GrpcStatus, ProtocolError } from '@conclave/protocol';

/** The part of a generated message that decoding needs. */
export interface Decoder<T> {
  decode(bytes: Uint8Array): T;
}

/**
 * Decodes a request; bytes that are not such a message are answered as gRPC servers do.
 *
 * @throws ProtocolError Internal for malformed protobuf.
 */
export function decodeRequest<T>(decoder: Decoder<T>, bytes: Uint8Array): T {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw ProtocolError.unnamed(GrpcStatus.Internal, `grpc: error unmarshalling request: ${reason}`);
  }
}

/** Turns what a handler threw into the error of the answer; anything unexpected is the caller's to report. */
export function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return ProtocolError.unnamed(GrpcStatus.Internal, `internal error: ${reason}`);
}
