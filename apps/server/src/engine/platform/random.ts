/** All chance that the engine sees; seeded in the simulator, the system's own source in production. */
export interface Random {
  /** A whole number in [0, bound). `bound` is between 1 and 2^48. */
  below(bound: number): number;
  /** A uniform 64-bit value in [0, 2^64). */
  uint64(): bigint;
}
