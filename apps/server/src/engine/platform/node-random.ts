import { Buffer } from 'node:buffer';
import { randomFillSync } from 'node:crypto';
import { assert } from './assert.js';
import { type Random } from './random.js';

const two48 = 2 ** 48;

/** The system's source of chance, read in blocks. */
export class NodeRandom implements Random {
  private readonly block = Buffer.alloc(1024);
  private at = this.block.length;

  below(bound: number): number {
    assert(Number.isInteger(bound), 'the bound is a whole number');
    assert(bound >= 1 && bound <= two48, 'the bound is between 1 and 2^48');
    // Values at or above the largest multiple of the bound would make small results more likely.
    const limit = two48 - (two48 % bound);
    for (;;) {
      const value = this.block.readUIntLE(this.take(6), 6);
      if (value < limit) return value % bound;
    }
  }

  uint64(): bigint {
    return this.block.readBigUInt64LE(this.take(8));
  }

  private take(bytes: number): number {
    if (this.at + bytes > this.block.length) {
      randomFillSync(this.block);
      this.at = 0;
    }
    const at = this.at;
    this.at += bytes;
    return at;
  }
}
