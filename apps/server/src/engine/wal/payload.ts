import { assert } from '../platform/assert.js';
import { FieldReader, MalformedFieldError, writeUint64 } from '../platform/fields.js';
import { type ConfState, type Entry, type HardState, type MemberId } from '../raft/message.js';
import { type RecordBytes } from './record.js';
import { type LogMark, type WalMetadata } from './state.js';

/**
 * The payloads of records, in the order of their fields. `u64` of a counter is a safe integer.
 *
 *   hard state   u64 term, u64 vote, u64 commit
 *   conf state   u32 auto leave (0 or 1), then four lists (voters, learners, outgoing, learners next): u32 count, u64 ids
 *   mark         u64 index, u64 term, conf state
 *   append       u32 flags (bit 0: hard state present), u32 number of entries, [hard state], then if there are entries: u64 index of
 *                the first, and per entry u64 term, u32 kind (0 normal, 1 config), u32 length, data
 *   segment      u64 cluster id, u64 member id, u64 first index, u64 content LSN, hard state, mark
 *   sync         u64 cluster id, u64 member id (what it says is in the header: `syncedLsn`)
 *
 * Hard state and entries of one update share a record, so that a crash keeps both or neither: an entry never has a
 * term above the stored one.
 */
const hardStateBytes = 24;
const appendBaseBytes = 8;
const entryBaseBytes = 16;
const hardStateFlag = 1;
const membersMax = 1024;

/** The head of a segment: all that is needed to start reading the log here, once the earlier segments are gone. */
export interface SegmentHead {
  readonly metadata: WalMetadata;
  /** Index that the next appended entry was expected to have when the segment began. */
  readonly firstIndex: number;
  /**
   * Records up to this LSN were synced before the file got its name, so its existence proves them. At least the head's
   * own LSN.
   */
  readonly contentLsn: number;
  readonly hardState: HardState;
  readonly mark: LogMark;
}

export interface AppendPayload {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
}

/** Bytes that an entry adds to an append payload. */
export function entrySize(entry: Entry): number {
  return entryBaseBytes + entry.data.length;
}

/** Bytes of an append payload without its entries. */
export function appendOverhead(hasHardState: boolean, hasEntries: boolean): number {
  return appendBaseBytes + (hasHardState ? hardStateBytes : 0) + (hasEntries ? 8 : 0);
}

function writeHardState(view: DataView, at: number, state: HardState): number {
  writeUint64(view, at, state.term);
  view.setBigUint64(at + 8, state.vote, true);
  writeUint64(view, at + 16, state.commit);
  return at + hardStateBytes;
}

/** Encodes `entries[from]` to `entries[to - 1]`, which are consecutive. Returns the length. */
export function writeAppend(
  target: RecordBytes,
  start: number,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  from: number,
  to: number,
): number {
  const { bytes, view } = target;
  view.setUint32(start, hardState === undefined ? 0 : hardStateFlag, true);
  view.setUint32(start + 4, to - from, true);
  let at = start + appendBaseBytes;
  if (hardState !== undefined) at = writeHardState(view, at, hardState);
  if (to === from) return at - start;
  const firstIndex = entries[from]!.index;
  writeUint64(view, at, firstIndex);
  at += 8;
  for (let i = from; i < to; i++) {
    const entry = entries[i]!;
    assert(entry.index === firstIndex + i - from, 'appended entries are consecutive');
    const data = entry.data;
    writeUint64(view, at, entry.term);
    view.setUint32(at + 8, entry.kind === 'normal' ? 0 : 1, true);
    view.setUint32(at + 12, data.length, true);
    bytes.set(data, at + entryBaseBytes);
    at += entryBaseBytes + data.length;
  }
  return at - start;
}

function memberLists(state: ConfState): readonly (readonly MemberId[])[] {
  return [state.voters, state.learners, state.outgoing, state.learnersNext];
}

export function markSize(mark: LogMark): number {
  let size = 16 + 4;
  for (const ids of memberLists(mark.confState)) size += 4 + 8 * ids.length;
  return size;
}

export function writeMark(target: RecordBytes, start: number, mark: LogMark): number {
  const { view } = target;
  writeUint64(view, start, mark.index);
  writeUint64(view, start + 8, mark.term);
  view.setUint32(start + 16, mark.confState.autoLeave ? 1 : 0, true);
  let at = start + 20;
  for (const ids of memberLists(mark.confState)) {
    assert(ids.length <= membersMax, 'a configuration has a bounded number of members');
    view.setUint32(at, ids.length, true);
    at += 4;
    for (const id of ids) {
      view.setBigUint64(at, id, true);
      at += 8;
    }
  }
  return at - start;
}

export function segmentHeadSize(head: SegmentHead): number {
  return 32 + hardStateBytes + markSize(head.mark);
}

export function writeSegmentHead(target: RecordBytes, start: number, head: SegmentHead): number {
  const { view } = target;
  writeMetadata(target, start, head.metadata);
  writeUint64(view, start + 16, head.firstIndex);
  writeUint64(view, start + 24, head.contentLsn);
  const at = writeHardState(view, start + 32, head.hardState);
  return at - start + writeMark(target, at, head.mark);
}

export const metadataBytes = 16;

export function writeMetadata(target: RecordBytes, start: number, metadata: WalMetadata): number {
  target.view.setBigUint64(start, metadata.clusterId, true);
  target.view.setBigUint64(start + 8, metadata.memberId, true);
  return metadataBytes;
}

function readHardState(reader: FieldReader): HardState {
  return { term: reader.counter(), vote: reader.id(), commit: reader.counter() };
}

function readMembers(reader: FieldReader): MemberId[] {
  const count = reader.count(membersMax);
  const ids: MemberId[] = [];
  for (let i = 0; i < count; i++) ids.push(reader.id());
  return ids;
}

function readMarkFields(reader: FieldReader): LogMark {
  const index = reader.counter();
  const term = reader.counter();
  const autoLeave = reader.flag();
  const voters = readMembers(reader);
  const learners = readMembers(reader);
  const outgoing = readMembers(reader);
  const learnersNext = readMembers(reader);
  return { index, term, confState: { voters, learners, outgoing, learnersNext, autoLeave } };
}

/** Reads one whole payload. `data` of entries are views into `source`. @throws MalformedFieldError */
export function readAppend(source: RecordBytes, start: number, length: number): AppendPayload {
  const reader = new FieldReader(source.bytes.subarray(start, start + length));
  const hasHardState = reader.flag();
  const count = reader.count(reader.remaining / entryBaseBytes);
  const hardState = hasHardState ? readHardState(reader) : undefined;
  const entries: Entry[] = [];
  if (count > 0) {
    const firstIndex = reader.counter();
    if (firstIndex < 1) throw new MalformedFieldError('indexes start at 1');
    for (let i = 0; i < count; i++) {
      const term = reader.counter();
      const kind = reader.flag() ? 'config' : 'normal';
      entries.push({ index: firstIndex + i, term, kind, data: reader.data(reader.uint32()) });
    }
  }
  reader.finish();
  return { hardState, entries };
}

/** @throws MalformedFieldError */
export function readMark(source: RecordBytes, start: number, length: number): LogMark {
  const reader = new FieldReader(source.bytes.subarray(start, start + length));
  const mark = readMarkFields(reader);
  reader.finish();
  return mark;
}

/** @throws MalformedFieldError */
export function readMetadata(source: RecordBytes, start: number, length: number): WalMetadata {
  const reader = new FieldReader(source.bytes.subarray(start, start + length));
  const metadata = { clusterId: reader.id(), memberId: reader.id() };
  reader.finish();
  return metadata;
}

/** @throws MalformedFieldError */
export function readSegmentHead(source: RecordBytes, start: number, length: number): SegmentHead {
  const reader = new FieldReader(source.bytes.subarray(start, start + length));
  const metadata = { clusterId: reader.id(), memberId: reader.id() };
  const firstIndex = reader.counter();
  const contentLsn = reader.counter();
  const hardState = readHardState(reader);
  const mark = readMarkFields(reader);
  reader.finish();
  return { metadata, firstIndex, contentLsn, hardState, mark };
}
