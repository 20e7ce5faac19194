/** How many operations on keys this member did since it started, for its metrics. Plain numbers: counting is an addition. */
export class OperationCounts {
  puts = 0;
  /** Bytes of keys and values that were put. */
  putBytes = 0;
  /** Deletes, however many keys each of them found; a revoked lease deletes each of its keys. */
  deletes = 0;
  ranges = 0;
  txns = 0;
}
