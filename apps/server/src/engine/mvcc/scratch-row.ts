import { Buffer } from 'node:buffer';

/**
 * Space for one row at a time that is copied by whoever takes it. Rows have few different lengths, so the view of each
 * length is made once: making one costs as much as writing the row.
 */
export class ScratchRow {
  readonly buffer: Buffer;
  private readonly views: Uint8Array[] = [];

  constructor(readonly bytesMax: number) {
    this.buffer = Buffer.alloc(bytesMax);
  }

  /** The first so many bytes, valid until the next row is written. */
  row(length: number): Uint8Array {
    return (this.views[length] ??= this.buffer.subarray(0, length));
  }
}
