/**
 * Percent-encoding of `grpc-message` (gRPC over HTTP/2, "Status-Message"): bytes 0x20–0x7E except `%` stand for
 * themselves, every other byte of the UTF-8 text is `%` and two hex digits.
 */

const hexDigits = '0123456789ABCDEF';
const utf8 = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8');

/** True for text that needs no encoding, which is the usual case. */
const plainText = /^[ -$&-~]*$/;

/** The value of the `grpc-message` header for this text. */
export function encodeStatusMessage(message: string): string {
  if (plainText.test(message)) return message;
  let encoded = '';
  for (const byte of utf8.encode(message)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${hexDigits.charAt(byte >> 4)}${hexDigits.charAt(byte & 15)}`;
  }
  return encoded;
}

/**
 * The text of a `grpc-message` header. The specification forbids to fail on a malformed value: a `%` without two hex
 * digits is kept as it is, bytes that are no UTF-8 become U+FFFD.
 */
export function decodeStatusMessage(value: string): string {
  if (!value.includes('%')) return value;
  const bytes = new Uint8Array(value.length * 3);
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const escaped = value.charAt(i) === '%' ? value.slice(i + 1, i + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(escaped)) {
      bytes[length++] = Number.parseInt(escaped, 16);
      i += 2;
    } else {
      length += utf8.encodeInto(value.charAt(i), bytes.subarray(length)).written;
    }
  }
  return utf8Decoder.decode(bytes.subarray(0, length));
}
