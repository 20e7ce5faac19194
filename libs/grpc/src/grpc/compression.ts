import { gunzipSync, gzipSync } from 'node:zlib';

/** The message encodings that we read and write, as in `grpc-encoding` and `grpc-accept-encoding`. */
export type MessageEncoding = 'identity' | 'gzip';

/** The value of `grpc-accept-encoding` that we send. */
export const acceptedEncodings = 'identity,gzip';

/** The encoding that `grpc-encoding` names; undefined for one that we do not know. An absent header means identity. */
export function parseEncoding(value: string | undefined): MessageEncoding | undefined {
  if (value === undefined || value === 'identity') return 'identity';
  return value === 'gzip' ? 'gzip' : undefined;
}

/** True when `grpc-accept-encoding` lists gzip. */
export function acceptsGzip(value: string | undefined): boolean {
  return value !== undefined && value.split(',').some((name) => name.trim() === 'gzip');
}

/** A compressed message that is malformed, or larger than allowed once unpacked. */
export class DecompressionError extends Error {
  override readonly name = 'DecompressionError';

  constructor(
    /** True when the limit stopped it, false when the data are no gzip. */
    readonly isTooLarge: boolean,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Unpacks one message. zlib stops at `maxBytes` of output, so a small bomb cannot take memory.
 *
 * @throws DecompressionError
 */
export function gunzip(message: Uint8Array, maxBytes: number): Uint8Array {
  try {
    // zlib's limit is the largest allowed output; it must be positive.
    const unpacked = gunzipSync(message, { maxOutputLength: Math.max(maxBytes, 1) });
    if (unpacked.length <= maxBytes) return unpacked;
  } catch (error) {
    const isTooLarge = error instanceof RangeError;
    if (!isTooLarge)
      throw new DecompressionError(false, 'grpc: failed to decompress the message: not valid gzip data', {
        cause: error,
      });
  }
  throw new DecompressionError(
    true,
    `grpc: received message after decompression larger than max ${maxBytes}`,
  );
}

/** Packs one message. */
export function gzip(message: Uint8Array): Uint8Array {
  return gzipSync(message);
}
