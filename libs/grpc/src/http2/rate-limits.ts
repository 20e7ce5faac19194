import { type ResolvedOptions } from './options.js';

/** What is counted per interval. */
export const Rate = {
  PEER_RESET: 0,
  LOCAL_RESET: 1,
  PING: 2,
  SETTINGS: 3,
  EMPTY: 4,
  WINDOW_UPDATE: 5,
  IGNORED: 6,
} as const;
export type Rate = (typeof Rate)[keyof typeof Rate];

/** Names for the GOAWAY that ends an abused connection. */
const NAMES = [
  'RST_STREAM frames',
  'stream errors',
  'PING frames',
  'SETTINGS frames',
  'empty frames',
  'WINDOW_UPDATE frames',
  'frames without use',
] as const;

/** Counts cheap frames that cost us work, in fixed intervals of the injected clock. */
export class RateLimits {
  private readonly counts = [0, 0, 0, 0, 0, 0, 0];
  private readonly limits: readonly number[];
  private intervalStart: number;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly now: () => number,
  ) {
    this.limits = [
      options.maxPeerResets,
      options.maxLocalResets,
      options.maxPings,
      options.maxSettings,
      options.maxEmptyFrames,
      options.maxWindowUpdates,
      options.maxIgnoredFrames,
    ];
    this.intervalStart = now();
  }

  /** Counts one event. Returns a sentence fragment when the limit is exceeded. */
  hit(rate: Rate): string | undefined {
    const now = this.now();
    if (now - this.intervalStart >= this.options.rateIntervalMs) {
      this.intervalStart = now;
      this.counts.fill(0);
    }
    const count = this.counts[rate] + 1;
    this.counts[rate] = count;
    const limit = this.limits[rate];
    return count > limit
      ? `more than ${limit} ${NAMES[rate]} in ${this.options.rateIntervalMs} ms`
      : undefined;
  }

  /** We sent HEADERS or DATA: probing pings are in order again, and window updates answer them. */
  sentFrame(): void {
    const counts = this.counts;
    counts[Rate.PING] = 0;
    const updates = counts[Rate.WINDOW_UPDATE];
    if (updates > 0) counts[Rate.WINDOW_UPDATE] = updates > 2 ? updates - 2 : 0;
  }
}
