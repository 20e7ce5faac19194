import { type RaftRandom } from '../config.js';

/** A small generator with a seed (xorshift on 32 bits): the same seed gives the same run on every machine. */
export class SeededRandom implements RaftRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
    for (let round = 0; round < 4; round += 1) this.#next();
  }

  below(bound: number): number {
    if (bound <= 2 ** 32) return Math.floor((this.#next() / 2 ** 32) * bound);
    return Math.floor(((this.#next() * 2 ** 21 + (this.#next() >>> 11)) / 2 ** 53) * bound);
  }

  /** True once in `times` on average. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }
}
