import { assert } from '../engine/platform/assert.js';
import { type Counter, type Gauge, type Histogram } from '../engine/platform/meter.js';

/** Plain numbers in memory: counting costs an addition, and all formatting happens when somebody reads. */
export class NumberCounter implements Counter {
  value = 0;

  add(amount: number): void {
    this.value += amount;
  }
}

export class NumberGauge implements Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }
}

/**
 * A histogram with fixed bounds.
 *
 * Invariant: `counts[i]` is the number of observations in (bounds[i-1], bounds[i]]; the last entry has those above
 * every bound. The counts add up to `count`.
 */
export class BucketHistogram implements Histogram {
  readonly bounds: Float64Array;
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    for (let i = 1; i < bounds.length; i++) {
      assert((bounds[i - 1] ?? Number.NaN) < (bounds[i] ?? Number.NaN), 'bounds of a histogram ascend');
    }
    this.bounds = Float64Array.from(bounds);
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
    this.count++;
  }

  /**
   * An estimate of the value below which the share `q` of the observations lies, by linear interpolation within its
   * bucket, as Prometheus' `histogram_quantile` does. NaN without observations; the highest bound when it lies above.
   */
  quantile(q: number): number {
    if (this.count === 0) return Number.NaN;
    const rank = q * this.count;
    let below = 0;
    for (let bucket = 0; bucket < this.bounds.length; bucket++) {
      const inBucket = this.counts[bucket] as number;
      if (below + inBucket >= rank && inBucket > 0) {
        const low = bucket === 0 ? 0 : (this.bounds[bucket - 1] as number);
        return low + ((this.bounds[bucket] as number) - low) * ((rank - below) / inBucket);
      }
      below += inBucket;
    }
    return this.bounds[this.bounds.length - 1] ?? Number.NaN;
  }
}
