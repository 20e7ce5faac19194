import { type LogBuffer, type LogWriter } from '../platform/disk.js';
import { type Entry, type HardState } from '../raft/message.js';
import { appendOverhead, entrySize, markSize, writeAppend, writeMark } from './payload.js';
import {
  endMarkBytes,
  headerBytes,
  type RecordChain,
  recordBytes,
  recordSize,
  RecordType,
  type RecordBytes,
} from './record.js';
import { type LogMark } from './state.js';

/** Called when what was asked for is done. */
export type Done = () => void;

/** An update of the log, or a new mark, that waits for its turn. */
export interface LogWork {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly mark: LogMark | undefined;
  /** The log begins anew after the mark; only present then. */
  readonly restarts?: boolean;
  readonly mustSync: boolean;
  readonly done: Done | undefined;
  /** Bytes of data, for the bound of the queue. */
  readonly bytes: number;
  /** Entries before this position are in a batch already, and with them the hard state. */
  next: number;
}

/** Why a piece of work was not put into the batch in full. `size`: the bytes that its next record needs at least. */
export type Refusal = { readonly reason: 'batch full' | 'segment full'; readonly size: number };

/** Entries of one update are split into records of about this size. */
const splitBytes = 1024 * 1024;

/**
 * The records that go to disk with one write: a buffer, and who waits for it. While one batch is being written the other is filled.
 * Invariant: the records are consecutive and lie in one segment from `fileOffset` on; `length` is a multiple of 8.
 */
export class Batch {
  length = 0;
  fileOffset = 0;
  mustSync = false;
  lastLsn = 0;
  /** Bytes of data of the work that ends here. */
  workBytes = 0;
  /** Highest index of an entry, and of a mark, in it; 0 without. */
  lastIndex = 0;
  markIndex = 0;
  /** Highest `syncedLsn` that its records carry. */
  statedLsn = 0;
  private dones: Done[] = [];
  private target: RecordBytes;
  private buffer_: LogBuffer;

  constructor(
    private readonly writer: LogWriter,
    private readonly bufferBytes: number,
  ) {
    this.buffer_ = writer.allocate(bufferBytes);
    this.target = recordBytes(this.buffer_.bytes);
  }

  get buffer(): LogBuffer {
    return this.buffer_;
  }

  get isEmpty(): boolean {
    return this.length === 0 && this.dones.length === 0 && !this.mustSync;
  }

  /** Empties the batch for its next use and returns who waits for it. A buffer enlarged for one big record is given back. */
  reset(): readonly Done[] {
    const { dones } = this;
    this.dones = [];
    this.length = 0;
    this.mustSync = false;
    this.workBytes = 0;
    this.lastIndex = 0;
    this.markIndex = 0;
    if (this.buffer_.bytes.length > this.bufferBytes) this.replaceBuffer(this.bufferBytes);
    return dones;
  }

  /** Makes room for a record that is bigger than the buffer. The batch is empty. */
  enlarge(bytes: number): void {
    if (this.buffer_.bytes.length < bytes + endMarkBytes) this.replaceBuffer(bytes + endMarkBytes);
  }

  private replaceBuffer(bytes: number): void {
    this.writer.release(this.buffer_);
    this.buffer_ = this.writer.allocate(bytes);
    this.target = recordBytes(this.buffer_.bytes);
  }

  /** Puts in as much of `work` as fits below `segmentEnd`, an offset in the file. Undefined: all of it. */
  add(work: LogWork, chain: RecordChain, segmentEnd: number): Refusal | undefined {
    const refusal =
      work.mark !== undefined
        ? this.addMark(work.mark, chain, segmentEnd)
        : this.addUpdate(work, chain, segmentEnd);
    if (refusal !== undefined) return refusal;
    this.mustSync ||= work.mustSync;
    this.workBytes += work.bytes;
    if (work.done !== undefined) this.dones.push(work.done);
    return undefined;
  }

  /** Puts the end mark behind the records, as far as the segment goes. Returns how many bytes are to be written. */
  finish(segmentEnd: number): number {
    if (this.length === 0) return 0;
    const end = Math.min(this.length + endMarkBytes, segmentEnd - this.fileOffset);
    this.target.bytes.fill(0, this.length, end);
    return end;
  }

  /** Adds a record without content, which carries what is known to be durable. False when it does not fit. */
  addSync(
    chain: RecordChain,
    segmentEnd: number,
    payload: (target: RecordBytes, at: number) => number,
  ): boolean {
    if (this.room(segmentEnd) < recordSize(64)) return false;
    this.seal(chain, RecordType.sync, payload(this.target, this.length + headerBytes));
    return true;
  }

  private addMark(mark: LogMark, chain: RecordChain, segmentEnd: number): Refusal | undefined {
    const size = recordSize(markSize(mark));
    if (size > this.room(segmentEnd)) return this.refusal(size, segmentEnd);
    this.seal(chain, RecordType.mark, writeMark(this.target, this.length + headerBytes, mark));
    this.markIndex = Math.max(this.markIndex, mark.index);
    return undefined;
  }

  private addUpdate(work: LogWork, chain: RecordChain, segmentEnd: number): Refusal | undefined {
    const { entries } = work;
    let hardState = work.next === 0 ? work.hardState : undefined;
    while (work.next < entries.length || hardState !== undefined) {
      const base = appendOverhead(hardState !== undefined, work.next < entries.length);
      const room = this.room(segmentEnd);
      let payload = base;
      let to = work.next;
      while (to < entries.length) {
        const grown = payload + entrySize(entries[to]!);
        if (recordSize(grown) > room || (grown > splitBytes && to > work.next)) break;
        payload = grown;
        to++;
      }
      const fitsNothing = to === work.next && to < entries.length;
      if (fitsNothing) return this.refusal(recordSize(base + entrySize(entries[to]!)), segmentEnd);
      if (recordSize(payload) > room) return this.refusal(recordSize(payload), segmentEnd);
      const at = this.length + headerBytes;
      this.seal(chain, RecordType.append, writeAppend(this.target, at, hardState, entries, work.next, to));
      if (to > work.next) this.lastIndex = Math.max(this.lastIndex, entries[to - 1]!.index);
      work.next = to;
      hardState = undefined;
    }
    return undefined;
  }

  private seal(chain: RecordChain, type: RecordType, payloadLength: number): void {
    this.length += chain.seal(this.target, this.length, this.fileOffset + this.length, type, payloadLength);
    this.lastLsn = chain.lastLsn;
    this.statedLsn = chain.syncedLsn;
  }

  private room(segmentEnd: number): number {
    const bufferEnd = this.buffer_.bytes.length - endMarkBytes;
    return Math.min(bufferEnd - this.length, segmentEnd - this.fileOffset - this.length);
  }

  private refusal(size: number, segmentEnd: number): Refusal {
    const segmentRoom = segmentEnd - this.fileOffset - this.length;
    return { reason: size > segmentRoom ? 'segment full' : 'batch full', size };
  }
}
