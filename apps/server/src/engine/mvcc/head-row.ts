import { CorruptionError, UnknownFormatError } from './storage-errors.js';
import { VarintReader, writeVarint, writeVarint64 } from './varint.js';
import { type VersionRoots } from './version-chain.js';

/**
 * The row of table `head`: the newest version of one key, and the roots that lead to older ones (see
 * {@link VersionRoots}).
 *
 *     byte 0    low four bits: format, 1. High bits: 0x10 tombstone, 0x20 has a lease
 *     bytes 1-2 checksum of byte 0 and of everything behind, little endian (FNV-1a, folded to 16 bits): these rows are
 *               small and read often, so that a CRC would cost more than the rest; what they lead to has one
 *     varints   mod, sub
 *               unless a tombstone: mod - create, version, and with a lease the lease (64 bits)
 *               rank of the newest version
 *               for every older root, newest first: how far its main revision is below the one before, sub, rank
 *
 * A key put at revisions 5 and 7, without a lease:   01 | sum | 07 00 | 02 02 | 00 | 02 00 00
 */
const FORMAT = 1;
const TOMBSTONE = 0x10;
const LEASE = 0x20;
const SUM_AT = 1;
const BODY_AT = 3;

/** The newest version of a key. One instance is pointed at many rows. */
export class Head {
  /** Revision of the newest version. */
  mod = 0;
  sub = 0;
  /** Revision at which the key came into being; 0 in a tombstone. */
  create = 0;
  /** Puts since then; 0 in a tombstone. */
  version = 0;
  lease = 0n;
  tombstone = false;
}

const reader = new VarintReader();

/**
 * Decodes a head row.
 * @param roots Filled with the stack of roots when given.
 * @throws CorruptionError, UnknownFormatError
 */
export function decodeHead(row: Uint8Array, head: Head, roots?: VersionRoots): void {
  if (row.length < BODY_AT) throw new CorruptionError('a head row is cut short');
  const first = row[0];
  if ((row[SUM_AT] | (row[SUM_AT + 1] << 8)) !== checksum(row, 0, row.length)) {
    if ((first & 0x0f) > FORMAT) throw new UnknownFormatError('a head row', first & 0x0f, FORMAT);
    throw new CorruptionError('a head row fails its checksum');
  }
  if ((first & 0x0f) !== FORMAT) throw new UnknownFormatError('a head row', first & 0x0f, FORMAT);
  reader.reset(row, BODY_AT, row.length);
  head.mod = reader.next();
  head.sub = reader.next();
  head.tombstone = (first & TOMBSTONE) !== 0;
  if (head.tombstone) {
    head.create = 0;
    head.version = 0;
    head.lease = 0n;
  } else {
    head.create = head.mod - reader.next();
    head.version = reader.next();
    head.lease = (first & LEASE) !== 0 ? reader.next64() : 0n;
    if (head.create <= 0) throw new CorruptionError('a head row has no create revision');
  }
  if (roots !== undefined) decodeRoots(head, roots);
}

function decodeRoots(head: Head, roots: VersionRoots): void {
  roots.clear();
  let main = head.mod;
  roots.addOlder(main, head.sub, reader.next());
  while (!reader.done) {
    main -= reader.next();
    const sub = reader.next();
    const rank = reader.next();
    if (main < 0) throw new CorruptionError('a head row leads to a negative revision');
    roots.addOlder(main, sub, rank);
  }
}

/**
 * Bytes that {@link writeHead} needs at most: ranks ascend, and one of 52 stands for more versions than there are revisions,
 * so there are fewer than 55 roots of at most 14 bytes each, behind less than 50 bytes.
 */
export const HEAD_ROW_BYTES_MAX = 1_024;

/** Writes the row and returns the position behind it. The first root is the head's own version. */
export function writeHead(target: Uint8Array, at: number, head: Head, roots: VersionRoots): number {
  const hasLease = head.lease !== 0n && !head.tombstone;
  const start = at;
  target[start] = FORMAT | (head.tombstone ? TOMBSTONE : 0) | (hasLease ? LEASE : 0);
  at += BODY_AT;
  at = writeVarint(target, at, head.mod);
  at = writeVarint(target, at, head.sub);
  if (!head.tombstone) {
    at = writeVarint(target, at, head.mod - head.create);
    at = writeVarint(target, at, head.version);
    if (hasLease) at = writeVarint64(target, at, head.lease);
  }
  target[at++] = roots.ranks[0];
  for (let root = 1; root < roots.length; root++) {
    at = writeVarint(target, at, roots.mains[root - 1] - roots.mains[root]);
    at = writeVarint(target, at, roots.subs[root]);
    at = writeVarint(target, at, roots.ranks[root]);
  }
  const sum = checksum(target, start, at);
  target[start + SUM_AT] = sum & 0xff;
  target[start + SUM_AT + 1] = sum >>> 8;
  return at;
}

/** FNV-1a over byte 0 and the body, folded to 16 bits. */
function checksum(bytes: Uint8Array, start: number, end: number): number {
  let sum = Math.imul(0x811c_9dc5 ^ bytes[start], 0x0100_0193);
  for (let at = start + BODY_AT; at < end; at++) sum = Math.imul(sum ^ bytes[at], 0x0100_0193);
  return (sum ^ (sum >>> 16)) & 0xffff;
}
