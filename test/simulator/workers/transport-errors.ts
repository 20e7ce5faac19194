import { TransportError } from '@conclave/client';
import { GrpcStatus, type ProtocolError } from '@conclave/protocol';

/** Nobody listens there. */
export function refused(): TransportError {
  return new TransportError(GrpcStatus.Unavailable, 'connection refused', false);
}

/** What a member answered instead of a response. */
export function statusOf({ code, message }: ProtocolError): TransportError {
  return new TransportError(code, message, true);
}
