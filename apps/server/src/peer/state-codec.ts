import { Buffer } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { type ConfState, type MemberId } from '../engine/raft/message.js';
import { counterBytesMax, FieldCursor, FieldWriter, MalformedMessageError } from './byte-fields.js';

/** What a sender says of the state before its bytes. */
export interface StateHeader {
  /** Chosen at random by the sender for each transfer; the same again after a broken connection. */
  readonly transfer: bigint;
  readonly size: number;
  readonly senderTerm: number;
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/** What a sender sends: a header, chunks in order, and the end. */
export type StatePart =
  | ({ readonly kind: 'header' } & StateHeader)
  | { readonly kind: 'chunk'; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: 'end'; readonly digest: Uint8Array };

/** What the receiver answers: from where to send, and at last that all of it is there. */
export type StateAnswer = { readonly kind: 'resume'; readonly offset: number } | { readonly kind: 'done' };

/** A chunk's bytes are not those that were sent. */
export class DamagedChunkError extends Error {
  override readonly name = 'DamagedChunkError';
}

const kinds = { header: 1, chunk: 2, end: 3, resume: 4, done: 5 } as const;
const format = 1;
export const digestBytes = 32;
const membersMax = 1_024;
const chunkHeadBytes = 1 + 8 + 4;

export function encodeHeader(header: StateHeader): Uint8Array {
  const { confState } = header;
  const lists = memberLists(confState);
  const members = lists.reduce((sum, list) => sum + list.length, 0);
  const writer = new FieldWriter(3 + 8 + (4 + lists.length) * counterBytesMax + 8 * members);
  writer.byte(kinds.header);
  writer.byte(format);
  writer.uint64(header.transfer);
  for (const value of [header.size, header.senderTerm, header.index, header.term]) writer.counter(value);
  writer.byte(confState.autoLeave ? 1 : 0);
  for (const list of lists) {
    writer.counter(list.length);
    for (const member of list) writer.uint64(member);
  }
  return writer.written;
}

/** A chunk carries a CRC-32 over its place and its bytes. */
export function encodeChunk(offset: number, data: Uint8Array): Uint8Array {
  const writer = new FieldWriter(chunkHeadBytes + data.length);
  writer.byte(kinds.chunk);
  writer.uint64(BigInt(offset));
  writer.uint32(checksum(offset, data));
  writer.raw(data);
  return writer.written;
}

export function encodeEnd(digest: Uint8Array): Uint8Array {
  const writer = new FieldWriter(1 + digest.length);
  writer.byte(kinds.end);
  writer.raw(digest);
  return writer.written;
}

/**
 * Reads a part; the bytes of a chunk are a view.
 *
 * @throws MalformedMessageError, DamagedChunkError
 */
export function decodePart(bytes: Uint8Array): StatePart {
  const cursor = new FieldCursor(bytes);
  const kind = cursor.byte();
  switch (kind) {
    case kinds.header:
      return { kind: 'header', ...readHeader(cursor) };
    case kinds.chunk:
      return readChunk(cursor);
    case kinds.end: {
      const digest = cursor.raw(digestBytes).slice();
      cursor.finish();
      return { kind: 'end', digest };
    }
    default:
      throw new MalformedMessageError(`there is no part of kind ${kind}`);
  }
}

export function encodeAnswer(answer: StateAnswer): Uint8Array {
  const writer = new FieldWriter(1 + counterBytesMax);
  writer.byte(kinds[answer.kind]);
  if (answer.kind === 'resume') writer.counter(answer.offset);
  return writer.written;
}

/** @throws MalformedMessageError */
export function decodeAnswer(bytes: Uint8Array): StateAnswer {
  const cursor = new FieldCursor(bytes);
  const kind = cursor.byte();
  if (kind !== kinds.resume && kind !== kinds.done)
    throw new MalformedMessageError(`no answer of kind ${kind}`);
  const answer: StateAnswer =
    kind === kinds.done ? { kind: 'done' } : { kind: 'resume', offset: cursor.counter() };
  cursor.finish();
  return answer;
}

function readHeader(cursor: FieldCursor): StateHeader {
  const found = cursor.byte();
  if (found !== format)
    throw new MalformedMessageError(`the state has format ${found}; this version reads ${format}`);
  const transfer = cursor.uint64();
  const [size, senderTerm, index, term] = [
    cursor.counter(),
    cursor.counter(),
    cursor.counter(),
    cursor.counter(),
  ];
  const autoLeave = cursor.flag();
  const [voters, learners, outgoing, learnersNext] = [list(cursor), list(cursor), list(cursor), list(cursor)];
  cursor.finish();
  if (index === 0 || term === 0 || senderTerm < term) throw new MalformedMessageError('a state of no entry');
  if (voters.length === 0) throw new MalformedMessageError('a state without voters');
  const confState = { voters, learners, outgoing, learnersNext, autoLeave };
  return { transfer, size, senderTerm, index, term, confState };
}

function readChunk(cursor: FieldCursor): StatePart {
  const offset = cursor.uint64();
  const expected = cursor.uint32();
  const data = cursor.raw(cursor.remaining);
  if (offset > BigInt(Number.MAX_SAFE_INTEGER) || data.length === 0)
    throw new MalformedMessageError('no such chunk');
  if (checksum(Number(offset), data) !== expected) {
    throw new DamagedChunkError(`the chunk at offset ${offset} does not have its checksum`);
  }
  return { kind: 'chunk', offset: Number(offset), data };
}

function checksum(offset: number, data: Uint8Array): number {
  const place = Buffer.allocUnsafe(8);
  place.writeBigUInt64LE(BigInt(offset));
  return crc32(data, crc32(place));
}

function memberLists(confState: ConfState): readonly (readonly MemberId[])[] {
  return [confState.voters, confState.learners, confState.outgoing, confState.learnersNext];
}

function list(cursor: FieldCursor): MemberId[] {
  const count = cursor.count(8);
  if (count > membersMax) throw new MalformedMessageError(`a configuration of ${count} members`);
  return Array.from({ length: count }, () => cursor.uint64());
}
