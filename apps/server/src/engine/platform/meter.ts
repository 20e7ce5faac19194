/** Bounds of a histogram's buckets, each twice the one before. */
export function doublingBuckets(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, power) => first * 2 ** power);
}

/** Names and values that tell series of one name apart; all series of a name have the same label names. */
export type Labels = Readonly<Record<string, string>>;

/** A number that only grows. */
export interface Counter {
  add(amount: number): void;
}

/** A number that goes up and down. */
export interface Gauge {
  set(value: number): void;
}

/** A distribution, observed in the unit that the name ends with (`_seconds`, `_bytes`). */
export interface Histogram {
  observe(value: number): void;
}

/**
 * Where the engine counts. Names are Prometheus names; where etcd has a metric for the same thing, its name is used
 * (`etcd_disk_wal_fsync_duration_seconds`). Asking twice for one name gives the same instrument.
 */
export interface Meter {
  counter(name: string, help: string, labels?: Labels): Counter;
  gauge(name: string, help: string, labels?: Labels): Gauge;
  /** `buckets` are the upper bounds, ascending. */
  histogram(name: string, help: string, buckets: readonly number[], labels?: Labels): Histogram;
  /** A gauge whose value is asked for when metrics are read. */
  observed(name: string, help: string, read: () => number): void;
  /** A counter whose value is asked for when metrics are read; it never goes down. */
  observedCounter(name: string, help: string, read: () => number): void;
}
