/** How a field is represented in a header block (RFC 7541 section 6.2). */
export type Indexing = 'incremental' | 'without' | 'never';

/** Credentials: no hop may put them into a compression context (RFC 7541 section 7.1). `token` is etcd's. */
const NEVER: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'token',
]);

/** Values that hardly ever occur twice and would only push useful entries out of the table. */
const WITHOUT: ReadonlySet<string> = new Set([
  'grpc-timeout',
  'grpc-message',
  'grpc-status-details-bin',
  'content-length',
  'content-range',
  'age',
  'date',
  'etag',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'last-modified',
  'location',
  'traceparent',
  'tracestate',
  'x-request-id',
]);

/** The representation that the encoder chooses for a field of this name. */
export function indexingOf(name: string): Indexing {
  if (NEVER.has(name)) return 'never';
  return WITHOUT.has(name) ? 'without' : 'incremental';
}

/**
 * Checks a list of names and values in turn before it is encoded.
 *
 * @throws RangeError when a name has no value, or a text has a character beyond latin1: its low octet would be sent in its
 *         place and could be a line break.
 */
export function checkFields(fields: readonly string[]): void {
  if (fields.length % 2 !== 0) throw new RangeError('header fields are names and values in turn');
  for (const text of fields) {
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) > 0xff) throw new RangeError('a header field must consist of octets (latin1)');
    }
  }
}
