import { HeaderBlock, type HeaderBlockKind } from './header-block.js';

/** Pseudo-header fields (RFC 9113 section 8.3), each a bit of the set that a block has. */
const METHOD = 1;
const SCHEME = 2;
const AUTHORITY = 4;
const PATH = 8;
const STATUS = 16;
const PSEUDO: ReadonlyMap<string, number> = new Map([
  [':method', METHOD],
  [':scheme', SCHEME],
  [':authority', AUTHORITY],
  [':path', PATH],
  [':status', STATUS],
]);

/** Fields that are about one HTTP/1 connection (RFC 9113 section 8.2.2). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** Octets that a field name may consist of: no controls, space, upper case, colon, nor anything above 0x7e (section 8.2.1). */
const NAME_OCTETS = Uint8Array.from({ length: 256 }, (_, c) =>
  c > 0x20 && c < 0x7f && c !== 0x3a && !(c >= 0x41 && c <= 0x5a) ? 1 : 0,
);

/**
 * Checks a decoded header block against RFC 9113 section 8 and says what it can serve as. The result does not depend on
 * who sent it, so it may be kept with the octets of the block.
 */
export function validateHeaders(fields: readonly string[]): HeaderBlock {
  let pseudo = 0;
  let connect = false;
  let contentLength = -1;
  let regular = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    if (!isValue(value)) return malformed(fields, `value of field "${printable(name)}"`);
    if (name.charCodeAt(0) === 0x3a) {
      const bit = PSEUDO.get(name);
      const wrong = bit === undefined || regular || (pseudo & bit) !== 0 || !isPseudoValue(bit, value);
      if (wrong) return malformed(fields, `pseudo-header field "${printable(name)}"`);
      pseudo |= bit;
      if (bit === METHOD) connect = value === 'CONNECT';
      continue;
    }
    regular = true;
    if (!isName(name)) return malformed(fields, `field name "${printable(name)}"`);
    if (CONNECTION_FIELDS.has(name) || (name === 'te' && value !== 'trailers')) {
      return malformed(fields, `connection-specific field "${name}"`);
    }
    if (name !== 'content-length') continue;
    if (!/^\d{1,15}$/.test(value) || (contentLength >= 0 && contentLength !== Number(value))) {
      return malformed(fields, 'content-length');
    }
    contentLength = Number(value);
  }
  const kind = kindOf(pseudo, connect);
  if (kind === 'malformed') return malformed(fields, 'pseudo-header fields are missing or mixed');
  return new HeaderBlock(kind, fields, contentLength, undefined);
}

function malformed(fields: readonly string[], what: string): HeaderBlock {
  return new HeaderBlock('malformed', fields, -1, what);
}

/** What a block with these pseudo-header fields is (RFC 9113 sections 8.3.1, 8.3.2 and 8.5). */
function kindOf(pseudo: number, connect: boolean): HeaderBlockKind {
  if (pseudo === 0) return 'trailers';
  if (pseudo === STATUS) return 'response';
  const needed = connect ? METHOD | AUTHORITY : METHOD | SCHEME | PATH;
  const allowed = connect ? needed : needed | AUTHORITY;
  return (pseudo & needed) === needed && (pseudo & ~allowed) === 0 ? 'request' : 'malformed';
}

/** A status has three digits; no other pseudo-header field but :authority may be empty. */
function isPseudoValue(bit: number, value: string): boolean {
  if (bit === STATUS) return /^[1-9]\d\d$/.test(value);
  return bit === AUTHORITY || value.length > 0;
}

function isName(name: string): boolean {
  for (let i = 0; i < name.length; i++) if (NAME_OCTETS[name.charCodeAt(i)] === 0) return false;
  return name.length > 0;
}

/** No NUL, CR or LF anywhere, no space or tab at either end (RFC 9113 section 8.2.1). */
function isValue(value: string): boolean {
  const length = value.length;
  if (length === 0) return true;
  for (let i = 0; i < length; i++) {
    const octet = value.charCodeAt(i);
    if (octet <= 0x0d && (octet === 0x0a || octet === 0x0d || octet === 0)) return false;
  }
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(length - 1));
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

/** What the peer sent, fit for a log line. */
function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x21-\x7e]/g, '?');
}
