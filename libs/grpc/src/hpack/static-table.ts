/** The static table (RFC 7541 Appendix A): names and values in turn, entry 1 first. */
const ENTRIES: readonly string[] = [
  ...[':authority', '', ':method', 'GET', ':method', 'POST', ':path', '/', ':path', '/index.html'],
  ...[':scheme', 'http', ':scheme', 'https', ':status', '200', ':status', '204', ':status', '206'],
  ...[':status', '304', ':status', '400', ':status', '404', ':status', '500', 'accept-charset', ''],
  ...['accept-encoding', 'gzip, deflate', 'accept-language', '', 'accept-ranges', '', 'accept', ''],
  ...['access-control-allow-origin', '', 'age', '', 'allow', '', 'authorization', '', 'cache-control', ''],
  ...['content-disposition', '', 'content-encoding', '', 'content-language', '', 'content-length', ''],
  ...['content-location', '', 'content-range', '', 'content-type', '', 'cookie', '', 'date', '', 'etag', ''],
  ...['expect', '', 'expires', '', 'from', '', 'host', '', 'if-match', '', 'if-modified-since', ''],
  ...['if-none-match', '', 'if-range', '', 'if-unmodified-since', '', 'last-modified', '', 'link', ''],
  ...['location', '', 'max-forwards', '', 'proxy-authenticate', '', 'proxy-authorization', '', 'range', ''],
  ...['referer', '', 'refresh', '', 'retry-after', '', 'server', '', 'set-cookie', ''],
  ...['strict-transport-security', '', 'transfer-encoding', '', 'user-agent', '', 'vary', '', 'via', ''],
  ...['www-authenticate', ''],
];

/** Entries of the static table; the first entry of the dynamic table has the index after it. */
export const STATIC_ENTRIES = 61;

/** Names of the entries at their index (index 0 is unused). */
export const STATIC_NAMES: readonly string[] = ['', ...ENTRIES.filter((_, i) => i % 2 === 0)];

/** Values of the entries at their index (index 0 is unused). */
export const STATIC_VALUES: readonly string[] = ['', ...ENTRIES.filter((_, i) => i % 2 === 1)];

/** What the encoder knows about a name of the static table. */
export interface StaticName {
  /** The first index with this name. */
  readonly index: number;
  /** Index of every entry with this name and a value. */
  readonly values: ReadonlyMap<string, number>;
}

/** The static table by name. */
export const STATIC_BY_NAME: ReadonlyMap<string, StaticName> = indexByName();

function indexByName(): Map<string, StaticName> {
  const names = new Map<string, { index: number; values: Map<string, number> }>();
  for (let index = 1; index <= STATIC_ENTRIES; index++) {
    const name = STATIC_NAMES[index];
    const value = STATIC_VALUES[index];
    const known = names.get(name) ?? { index, values: new Map<string, number>() };
    if (value !== '') known.values.set(value, index);
    names.set(name, known);
  }
  return names;
}
