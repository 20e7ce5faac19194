import { Buffer } from 'node:buffer';
const CHUNK_BYTES = 64 * 1024;

/**
 * Space for the rows of one transaction. Chunks are not moved, so what was handed out stays where it is until `reset`.
 */
export class RowArena {
  buffer: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** The memory of `buffer`, which begins with it. */
  private memory: ArrayBufferLike = this.buffer.buffer;
  /** Where the next row starts. */
  at = 0;

  /** Makes room for `bytes` at `at` in `buffer`. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    this.replace(Math.max(CHUNK_BYTES, bytes));
  }

  /** A view of what lies in `buffer`, valid until `reset`; a Buffer's `subarray` costs more. */
  view(start: number, end: number): Uint8Array {
    return new Uint8Array(this.memory, start, end - start);
  }

  /** Everything handed out so far may be overwritten from now on. */
  reset(): void {
    if (this.buffer.length > CHUNK_BYTES) this.replace(CHUNK_BYTES);
    this.at = 0;
  }

  private replace(bytes: number): void {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    this.memory = this.buffer.buffer;
    this.at = 0;
  }
}
