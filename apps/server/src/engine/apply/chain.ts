/** Odd, so that multiplying by them loses nothing (the finalizer constants of MurmurHash3). */
const highFactor = 0x85eb_ca6b | 0;
const lowFactor = 0xc2b2_ae35 | 0;

/**
 * A rolling hash of words in two lanes of 32 bits, without bigint or allocation. It finds accidents, not forgeries.
 *
 * Invariant: taking in a word is a bijection of each lane, so chains that differ stay different when the same words
 * follow.
 */
export class Chain {
  /** Signed 32-bit integers. */
  high = 0;
  low = 0;

  set(high: number, low: number): void {
    this.high = high;
    this.low = low;
  }

  /** Takes in 32 bits. */
  word(bits: number): void {
    const high = Math.imul(this.high ^ bits, highFactor);
    this.high = high ^ (high >>> 15);
    const low = Math.imul((this.low + bits + 1) | 0, lowFactor);
    this.low = (low << 13) | (low >>> 19);
  }

  /** Takes in a counter: a safe integer that is not negative. */
  number(counter: number): void {
    this.word(counter | 0);
    if (counter > 0xffff_ffff) this.word(Math.floor(counter / 0x1_0000_0000));
  }
}
