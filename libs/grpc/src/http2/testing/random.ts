import { Buffer } from 'node:buffer';

/** A small generator for tests (mulberry32): the same seed gives the same run. */
export class TestRandom {
  constructor(private state: number) {}

  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** True once in `times` on average. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }

  bytes(length: number): Buffer {
    const octets = Buffer.alloc(length);
    // Four octets of every number; a few thousand octets should not cost a few thousand numbers.
    for (let i = 0; i < length; i++) octets[i] = i % 4 === 0 ? this.below(2 ** 32) : octets[i - 1] * 167 + i;
    return octets;
  }
}
