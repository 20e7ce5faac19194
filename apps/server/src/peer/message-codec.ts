import { Buffer } from 'node:buffer';
import { type Append, type Entry, type MemberId } from '../engine/raft/message.js';
import { counterBytesMax, FieldCursor, FieldWriter, MalformedMessageError } from './byte-fields.js';
import {
  kindNumbers,
  namesByNumber,
  queryMethodNumbers,
  refusalNumbers,
  type WireMessage,
} from './message-kinds.js';

/*
 * A batch: one byte with the format of what follows, then messages, each behind its length in 32 bits.
 * A message: one byte with its kind, the term, the fields of the kind. Sender and receiver are those of the stream that
 * carries it, so nobody can speak for somebody else. Entries of an append follow each other without gaps, so only the
 * place before the first is given.
 */
const format = 1;
const lengthBytes = 4;
/** More than the fields of any kind take, its lists and byte strings left out. */
const fixedBytesMax = 96;
/** Kind, term and length. */
const entryHeadBytesMax = 1 + 2 * counterBytesMax;
const entryHeadBytesLeast = 3;

const kindOf = namesByNumber(kindNumbers);
const queryMethodOf = namesByNumber(queryMethodNumbers);
const refusalOf = namesByNumber(refusalNumbers);

/** Who sent a message and for whom it is, as the stream that carried it says. */
export interface Addresses {
  readonly from: MemberId;
  readonly to: MemberId;
}

/** Most bytes that a message takes in a batch. O(entries). */
export function wireBytesMax(message: WireMessage): number {
  switch (message.kind) {
    case 'append': {
      let bytes = fixedBytesMax;
      for (const { data } of message.entries) bytes += entryHeadBytesMax + data.length;
      return bytes;
    }
    case 'propose':
      return fixedBytesMax + message.command.length;
    case 'query':
      return fixedBytesMax + message.payload.length;
    case 'query-reply':
      return fixedBytesMax + message.payload.length + 3 * (message.error?.length ?? 0);
    default:
      return fixedBytesMax;
  }
}

/** Encodes messages as one batch. Data of entries is copied, so the batch depends on nothing else. */
export function encodeBatch(messages: readonly WireMessage[]): Uint8Array {
  let bytes = 1;
  for (const message of messages) bytes += wireBytesMax(message);
  const writer = new FieldWriter(bytes);
  writer.byte(format);
  for (const message of messages) {
    const at = writer.at;
    writer.uint32(0);
    writeMessage(writer, message);
    writer.patchUint32(at, writer.at - at - lengthBytes);
  }
  return writer.written;
}

/**
 * Reads a batch and hands over each message.
 *
 * @param batch Is not kept: a message that carries bytes gets a copy of its own, of which its entries are views.
 * @throws MalformedMessageError as soon as something does not follow the layout; messages before it were handed over.
 */
export function decodeBatch(
  batch: Uint8Array,
  addresses: Addresses,
  take: (message: WireMessage) => void,
): void {
  const cursor = new FieldCursor(batch);
  const found = cursor.byte();
  if (found !== format)
    throw new MalformedMessageError(`the batch has format ${found}; this version reads ${format}`);
  while (cursor.remaining > 0) {
    const length = cursor.uint32();
    const bytes = cursor.raw(length);
    take(decodeMessage(carriesBytes(bytes) ? Uint8Array.prototype.slice.call(bytes) : bytes, addresses));
  }
}

/** Whether a decoded message would keep views of the bytes that it was read from. */
function carriesBytes(bytes: Uint8Array): boolean {
  switch (kindOf.get(bytes[0] ?? 0)) {
    case 'append':
    case 'propose':
    case 'query':
    case 'query-reply':
      return true;
    default:
      return false;
  }
}

function writeMessage(writer: FieldWriter, message: WireMessage): void {
  writer.byte(kindNumbers[message.kind]);
  writer.counter(message.term);
  switch (message.kind) {
    case 'pre-vote':
      writer.counter(message.lastIndex);
      return writer.counter(message.lastTerm);
    case 'vote':
      writer.counter(message.lastIndex);
      writer.counter(message.lastTerm);
      return writer.byte(message.transfer ? 1 : 0);
    case 'pre-vote-reply':
    case 'vote-reply':
      return writer.byte(message.granted ? 1 : 0);
    case 'append':
      return writeAppend(writer, message);
    case 'append-reply':
      return writer.counter(message.index);
    case 'append-rejection':
      writer.counter(message.previousIndex);
      writer.counter(message.hintIndex);
      writer.counter(message.hintTerm);
      return writer.byte(message.needsState ? 1 : 0);
    case 'committed':
      writer.counter(message.index);
      return writer.counter(message.entryTerm);
    case 'heartbeat':
      writer.counter(message.commit);
      return writer.counter(message.readSequence);
    case 'heartbeat-reply':
      return writer.counter(message.readSequence);
    case 'read-index':
    case 'read-index-refusal':
      return writer.counter(message.request);
    case 'read-index-reply':
      writer.counter(message.request);
      writer.counter(message.sequence);
      return writer.counter(message.index);
    case 'stale-term':
    case 'timeout-now':
      return;
    default:
      return writeReplicaMessage(writer, message);
  }
}

function writeAppend(writer: FieldWriter, message: Append): void {
  writer.counter(message.previousIndex);
  writer.counter(message.previousTerm);
  writer.counter(message.commit);
  writer.counter(message.entries.length);
  for (const entry of message.entries) {
    writer.byte(entry.kind === 'config' ? 1 : 0);
    writer.counter(entry.term);
    writer.bytes(entry.data);
  }
}

type ReplicaWireMessage = Extract<
  WireMessage,
  { readonly kind: 'propose' | 'propose-refused' | 'query' | 'query-reply' | 'chains' }
>;

function writeReplicaMessage(writer: FieldWriter, message: ReplicaWireMessage): void {
  switch (message.kind) {
    case 'propose':
      return writer.bytes(message.command);
    case 'propose-refused':
      writer.uint64(message.boot);
      writer.counter(message.sequence);
      return writer.byte(refusalNumbers[message.reason]);
    case 'query':
      writer.counter(message.request);
      writer.uint64(message.boot);
      writer.byte(queryMethodNumbers[message.method]);
      return writer.bytes(message.payload);
    case 'query-reply':
      writer.counter(message.request);
      writer.uint64(message.boot);
      writer.byte(message.error === undefined ? 0 : 1);
      if (message.error !== undefined) writer.bytes(Buffer.from(message.error, 'utf8'));
      return writer.bytes(message.payload);
    case 'chains':
      writer.counter(message.index);
      writer.uint64(message.log);
      return writer.uint64(message.results);
  }
}

/**
 * Reads one message. Entries, commands and payloads are views of `bytes`.
 *
 * @throws MalformedMessageError
 */
export function decodeMessage(bytes: Uint8Array, { from, to }: Addresses): WireMessage {
  const cursor = new FieldCursor(bytes);
  const number = cursor.byte();
  const kind = kindOf.get(number);
  if (kind === undefined) throw new MalformedMessageError(`there is no message of kind ${number}`);
  const message = readFields(cursor, kind, { from, to, term: cursor.counter() });
  cursor.finish();
  return message;
}

interface Envelope extends Addresses {
  readonly term: number;
}

function readFields(cursor: FieldCursor, kind: WireMessage['kind'], envelope: Envelope): WireMessage {
  switch (kind) {
    case 'pre-vote':
      return { kind, ...envelope, lastIndex: cursor.counter(), lastTerm: cursor.counter() };
    case 'vote': {
      const last = { lastIndex: cursor.counter(), lastTerm: cursor.counter() };
      return { kind, ...envelope, ...last, transfer: cursor.flag() };
    }
    case 'pre-vote-reply':
    case 'vote-reply':
      return { kind, ...envelope, granted: cursor.flag() };
    case 'append':
      return readAppend(cursor, envelope);
    case 'append-reply':
      return { kind, ...envelope, index: cursor.counter() };
    case 'append-rejection': {
      const previousIndex = cursor.counter();
      const hint = { hintIndex: cursor.counter(), hintTerm: cursor.counter() };
      return { kind, ...envelope, previousIndex, ...hint, needsState: cursor.flag() };
    }
    case 'committed':
      return { kind, ...envelope, index: cursor.counter(), entryTerm: cursor.counter() };
    case 'heartbeat':
      return { kind, ...envelope, commit: cursor.counter(), readSequence: cursor.counter() };
    case 'heartbeat-reply':
      return { kind, ...envelope, readSequence: cursor.counter() };
    case 'read-index':
    case 'read-index-refusal':
      return { kind, ...envelope, request: cursor.counter() };
    case 'read-index-reply': {
      const request = cursor.counter();
      return { kind, ...envelope, request, sequence: cursor.counter(), index: cursor.counter() };
    }
    case 'stale-term':
    case 'timeout-now':
      return { kind, ...envelope };
    default:
      return readReplicaMessage(cursor, kind, envelope);
  }
}

function readAppend(cursor: FieldCursor, envelope: Envelope): Append {
  const previousIndex = cursor.counter();
  const previousTerm = cursor.counter();
  const commit = cursor.counter();
  const count = cursor.count(entryHeadBytesLeast);
  const entries: Entry[] = [];
  for (let i = 1; i <= count; i++) {
    const kind = cursor.flag() ? 'config' : 'normal';
    entries.push({ index: previousIndex + i, term: cursor.counter(), kind, data: cursor.bytes() });
  }
  return { kind: 'append', ...envelope, previousIndex, previousTerm, entries, commit };
}

function readReplicaMessage(
  cursor: FieldCursor,
  kind: ReplicaWireMessage['kind'],
  envelope: Envelope,
): ReplicaWireMessage {
  switch (kind) {
    case 'propose':
      return { kind, ...envelope, command: cursor.bytes() };
    case 'propose-refused': {
      const boot = cursor.uint64();
      const sequence = cursor.counter();
      return { kind, ...envelope, boot, sequence, reason: known(refusalOf, cursor.byte(), 'refusal') };
    }
    case 'query': {
      const request = cursor.counter();
      const boot = cursor.uint64();
      const method = known(queryMethodOf, cursor.byte(), 'query');
      return { kind, ...envelope, request, boot, method, payload: cursor.bytes() };
    }
    case 'query-reply': {
      const request = cursor.counter();
      const boot = cursor.uint64();
      const error = cursor.flag() ? Buffer.from(cursor.bytes()).toString('utf8') : undefined;
      return { kind, ...envelope, request, boot, error, payload: cursor.bytes() };
    }
    case 'chains': {
      const index = cursor.counter();
      return { kind, ...envelope, index, log: cursor.uint64(), results: cursor.uint64() };
    }
  }
}

function known<T>(names: ReadonlyMap<number, T>, number: number, what: string): T {
  const name = names.get(number);
  if (name === undefined) throw new MalformedMessageError(`there is no ${what} of number ${number}`);
  return name;
}
