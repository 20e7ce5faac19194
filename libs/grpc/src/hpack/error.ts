/**
 * A header block that cannot be decoded. The dynamic table is out of step from then on, so the whole connection must end
 * with COMPRESSION_ERROR (RFC 7541 section 2.2, RFC 9113 section 4.3).
 */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}
