import { Buffer } from 'node:buffer';
import { assert } from './assert.js';
import { FRAME_HEADER_BYTES } from './frame.js';
import { type Lender } from './lender.js';
import { type ConnectionStats } from './stats.js';

const CHUNK_MIN = 2 * 1024;
const CHUNK_MAX = 64 * 1024;

/** DATA pieces of at least this many octets are handed over as they are; copying them would cost more than a part. */
export const REFERENCE_MIN = 8 * 1024;

/**
 * Assembles frames. Small ones are written one behind the other into a chunk, so that one tick's answers leave in one part.
 * Parts that were taken belong to the transport, and the next frame goes behind them, until the transport says that it has
 * copied everything: then the chunk is filled from its beginning again.
 *
 * Invariants: `chunk[taken, position)` is what the chunk holds beyond `parts`; `size` is the sum of both;
 * `taken <= position <= chunk.length`.
 */
export class Output {
  chunk: Buffer = Buffer.alloc(0);
  position = 0;
  private taken = 0;
  private parts: Uint8Array[] = [];
  private partBytes = 0;
  /** Whose octets end in what waits, and in what was taken last. */
  private lenders: Lender[] = [];
  private takenLenders: Lender[] = [];
  private chunkSize = CHUNK_MIN;
  private signalled = false;

  /** @param onOutput called once when there is something to take, and again only after it was taken. */
  constructor(
    private readonly stats: ConnectionStats,
    private readonly onOutput: () => void,
  ) {}

  /** Octets that wait to be taken. */
  get size(): number {
    return this.partBytes + this.position - this.taken;
  }

  /** Tells the owner that there is something to take. */
  signal(): void {
    if (this.signalled) return;
    this.signalled = true;
    this.onOutput();
  }

  /** Makes room for `octets` in one piece, to be written at `chunk[position]`. */
  reserve(octets: number): void {
    if (octets > this.chunk.length - this.position) this.nextChunk(octets);
    if (!this.signalled) this.signal();
  }

  /** Writes a frame header; the caller has reserved room and writes the payload behind it. */
  frameHeader(length: number, type: number, flags: number, streamId: number): void {
    const chunk = this.chunk;
    const position = this.position;
    chunk[position] = length >>> 16;
    chunk[position + 1] = length >>> 8;
    chunk[position + 2] = length;
    chunk[position + 3] = type;
    chunk[position + 4] = flags;
    chunk[position + 5] = streamId >>> 24;
    chunk[position + 6] = streamId >>> 16;
    chunk[position + 7] = streamId >>> 8;
    chunk[position + 8] = streamId;
    this.position = position + FRAME_HEADER_BYTES;
    this.stats.framesOut++;
  }

  /** Writes a 32-bit number; the caller has reserved room. */
  uint32(value: number): void {
    this.position = this.chunk.writeUInt32BE(value, this.position);
  }

  /** Copies `source[start, end)`; the caller has reserved room. */
  copy(source: Uint8Array, start: number, end: number): void {
    const chunk = this.chunk;
    let position = this.position;
    // A call into the runtime costs as much as a few dozen octets.
    if (end - start <= 48) for (let i = start; i < end; i++) chunk[position++] = source[i];
    else {
      chunk.set(start === 0 && end === source.length ? source : source.subarray(start, end), position);
      position += end - start;
    }
    this.position = position;
  }

  /** Appends octets without copying them. */
  reference(bytes: Uint8Array): void {
    this.seal();
    this.parts.push(bytes);
    this.partBytes += bytes.length;
  }

  /** Notes that the last octets of a loan were appended. */
  lent(lender: Lender): void {
    this.lenders.push(lender);
  }

  /** Holds back signals while the owner is taking anyway. */
  beginTake(): void {
    this.signalled = true;
  }

  /** Signals again, after a taking that failed. */
  endTake(): void {
    this.signalled = false;
  }

  /** Everything that waits, in order. */
  take(): Uint8Array[] {
    this.signalled = false;
    const size = this.size;
    this.stats.bytesOut += size;
    this.seal();
    const parts = this.parts;
    if (parts.length > 0) this.parts = [];
    this.partBytes = 0;
    if (this.takenLenders.length > 0) this.takenLenders = [];
    if (this.lenders.length > 0) [this.takenLenders, this.lenders] = [this.lenders, this.takenLenders];
    // The next chunks fit what this connection lately writes per tick; an idle one keeps little.
    this.chunkSize = Math.min(CHUNK_MAX, Math.max(CHUNK_MIN, (this.chunkSize >>> 1) + size));
    return parts;
  }

  /**
   * What was taken was written, and nothing was added since. `isCopied`: the transport refers to none of it any more, nor to what
   * was taken before.
   */
  written(isCopied: boolean): void {
    if (isCopied) {
      assert(this.size === 0, 'what was taken is all that there was');
      this.position = 0;
      this.taken = 0;
    }
    const lenders = this.takenLenders;
    if (lenders.length === 0) return;
    if (isCopied) for (const lender of lenders) lender.returned();
    lenders.length = 0;
  }

  private seal(): void {
    if (this.position === this.taken) return;
    this.parts.push(this.chunk.subarray(this.taken, this.position));
    this.partBytes += this.position - this.taken;
    this.taken = this.position;
  }

  private nextChunk(octets: number): void {
    this.seal();
    this.chunk = Buffer.allocUnsafeSlow(Math.max(octets, this.chunkSize));
    this.position = 0;
    this.taken = 0;
  }
}
