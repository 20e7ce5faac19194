/** What the first bytes of a connection are. */
export type FirstBytes = 'http2' | 'http1' | 'garbage' | 'undecided';

/** RFC 9113 §3.4. */
const preface = new TextEncoder().encode('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A method is a token (RFC 9110 §9.1); no method that anyone uses is longer. */
const methodBytesMax = 20;
const methodCharacter = /[A-Z-]/;

/**
 * Decides between the HTTP/2 preface and an HTTP/1.x request line by the first bytes of a connection. `undecided`
 * means that these bytes could still become either, so at most 24 bytes are ever waited for.
 */
export function sniff(bytes: Uint8Array): FirstBytes {
  const length = Math.min(bytes.length, preface.length);
  let matching = 0;
  while (matching < length && bytes[matching] === preface[matching]) matching++;
  if (matching === preface.length) return 'http2';
  if (matching === length) return 'undecided';
  return sniffRequestLine(bytes);
}

/** `METHOD SP target`: upper-case letters, one space, then something printable. */
function sniffRequestLine(bytes: Uint8Array): FirstBytes {
  for (let i = 0; i < bytes.length && i <= methodBytesMax; i++) {
    const character = String.fromCharCode(bytes[i] as number);
    if (character === ' ') {
      if (i === 0) return 'garbage';
      const target = bytes[i + 1];
      if (target === undefined) return 'undecided';
      return target > 0x20 && target < 0x7f ? 'http1' : 'garbage';
    }
    if (!methodCharacter.test(character)) return 'garbage';
  }
  return bytes.length <= methodBytesMax ? 'undecided' : 'garbage';
}
