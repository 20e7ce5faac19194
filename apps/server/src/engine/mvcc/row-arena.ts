import { Buffer } from 'node:buffer';
const CHUNK_BYTES = 64 * 1024;

/**
 * Space for the rows of one transaction. Chunks are not moved, so what was handed out stays where it is until `reset`.
 */
export class RowArena {
  buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** Where the next row starts. */
  at = 0;

  /** Makes room for `bytes` at `at` in `buffer`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    this.buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes));
    this.at = 0;
  }

  /** Everything handed out so far may be overwritten from now on. */
  reset(): void {
    if (this.buffer.length > CHUNK_BYTES) this.buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.at = 0;
  }
}
