import { HeaderBlock, type HeaderBlockKind } from './header-block.js';

/** Pseudo-header fields and the kind of block they belong to (RFC 9113 section 8.3). */
const PSEUDO: ReadonlyMap<string, HeaderBlockKind> = new Map([
  [':method', 'request'],
  [':scheme', 'request'],
  [':authority', 'request'],
  [':path', 'request'],
  [':status', 'response'],
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
  let kind: HeaderBlockKind = 'trailers';
  let contentLength = -1;
  let regular = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    const value = fields[i + 1];
    if (!isValue(value)) return malformed(fields, `value of field "${printable(name)}"`);
    if (name.charCodeAt(0) === 0x3a) {
      const belongsTo = PSEUDO.get(name);
      if (belongsTo === undefined || regular)
        return malformed(fields, `pseudo-header field "${printable(name)}"`);
      if (kind !== 'trailers' && kind !== belongsTo) return malformed(fields, 'mixed pseudo-header fields');
      kind = belongsTo;
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
  const block = new HeaderBlock(kind, fields, contentLength, undefined);
  const problem =
    kind === 'request' ? requestProblem(block) : kind === 'response' ? responseProblem(block) : undefined;
  return problem === undefined ? block : malformed(fields, problem);
}

function malformed(fields: readonly string[], what: string): HeaderBlock {
  return new HeaderBlock('malformed', fields, -1, what);
}

/** The pseudo-header fields of a request (RFC 9113 sections 8.3.1 and 8.5). */
function requestProblem(block: HeaderBlock): string | undefined {
  for (const name of [':method', ':scheme', ':path', ':authority']) {
    if (block.getAll(name).length > 1) return `more than one ${name}`;
  }
  const method = block.get(':method');
  if (method === undefined || method === '') return 'no :method';
  if (method === 'CONNECT') {
    const proper =
      block.get(':scheme') === undefined &&
      block.get(':path') === undefined &&
      block.get(':authority') !== undefined;
    return proper ? undefined : 'CONNECT takes :authority only';
  }
  if (!block.get(':scheme')) return 'no :scheme';
  return block.get(':path') ? undefined : 'no :path';
}

/** The pseudo-header field of a response (RFC 9113 section 8.3.2). */
function responseProblem(block: HeaderBlock): string | undefined {
  const statuses = block.getAll(':status');
  return statuses.length === 1 && /^[1-9]\d\d$/.test(statuses[0]) ? undefined : ':status';
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
    if (octet === 0x0a || octet === 0x0d || octet === 0) return false;
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
