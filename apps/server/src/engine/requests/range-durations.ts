import type { Clock } from '../platform/clock.js';
import { doublingBuckets, type Histogram, type Meter } from '../platform/meter.js';

/** 0.1 ms to 52 s, doubling, as etcd's. */
const buckets = doublingBuckets(0.0001, 20);
const help = 'The latency distributions of txn.Range';

/** How long ranges take to be read, without the wait for a state that may be read. */
export class RangeDurations {
  private readonly read: Histogram;
  private readonly refused: Histogram;

  constructor(
    meter: Meter,
    private readonly clock: Clock,
  ) {
    const name = 'etcd_server_range_duration_seconds';
    this.read = meter.histogram(name, help, buckets, { success: 'true' });
    this.refused = meter.histogram(name, help, buckets, { success: 'false' });
  }

  begin(): number {
    return this.clock.now();
  }

  /** @param begun What `begin` returned. */
  end(begun: number, isSuccess = true): void {
    (isSuccess ? this.read : this.refused).observe((this.clock.now() - begun) / 1_000);
  }
}
