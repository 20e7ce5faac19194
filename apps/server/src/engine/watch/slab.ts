import { Buffer } from 'node:buffer';
import { assert } from '../platform/assert.js';
import { type ChunkLender } from './watch-sink.js';

/** A multiple of what a stream is handed at once, so that little is left over at the end. */
const SLAB_BYTES = 256 * 1024;
/** Together 4 MiB. */
const SLABS_MAX = 16;

/**
 * Memory that chunks are cut from, one behind the other.
 *
 * Invariant: `loans` is the number of chunks that were lent and did not come back; while there are any, nothing before
 * `at` is written.
 */
export class Slab implements ChunkLender {
  /** Where the next chunk begins, and where what is in it so far ends. */
  start = 0;
  at = 0;
  private loans = 0;

  constructor(readonly bytes: Buffer) {}

  /** Nobody refers to any of it. */
  get isFree(): boolean {
    return this.loans === 0;
  }

  /** Bytes behind `at`. */
  get room(): number {
    return this.bytes.length - this.at;
  }

  /** Lends one more chunk, or the same once more. */
  lend(): this {
    this.loans++;
    return this;
  }

  returned(): void {
    assert(this.loans > 0, 'only what was lent comes back');
    this.loans--;
  }

  /** Begins anew at the front. */
  restart(): void {
    assert(this.isFree, 'a slab is written again once nobody refers to it');
    this.start = 0;
    this.at = 0;
  }
}

/**
 * Slabs that are written again and again, as long as their chunks come back. Without that, events that are sent to many watchers
 * leave the collector of garbage gigabytes of dead buffers a second.
 */
export class SlabPool {
  private readonly slabs: Slab[] = [];
  private next = 0;

  constructor(private readonly slabBytes = SLAB_BYTES) {}

  /** An empty slab that nobody refers to, with room for `bytes`. */
  take(bytes: number): Slab {
    if (bytes > this.slabBytes) return newSlab(bytes);
    for (let tries = 0; tries < this.slabs.length; tries++) {
      const slab = this.slabs[this.advance()];
      if (!slab.isFree) continue;
      slab.restart();
      return slab;
    }
    const slab = newSlab(this.slabBytes);
    // Slabs whose chunks never come back are replaced in turn.
    if (this.slabs.length < SLABS_MAX) this.slabs.push(slab);
    else this.slabs[this.advance()] = slab;
    return slab;
  }

  private advance(): number {
    const at = this.next;
    this.next = (at + 1) % this.slabs.length;
    return at;
  }
}

function newSlab(bytes: number): Slab {
  return new Slab(Buffer.allocUnsafeSlow(bytes));
}
