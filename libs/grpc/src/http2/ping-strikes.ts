import { type ResolvedOptions } from './options.js';

/** Without streams, and when that is not permitted, a keepalive ping is due only this often (gRPC proposal A8). */
const IDLE_PING_INTERVAL_MS = 2 * 60 * 60 * 1000;

/**
 * Keepalive enforcement (gRPC proposals A8 and A9): a peer may ping only every `minPingIntervalMs`. Each ping that comes too
 * early is a strike; strikes are forgotten whenever we send HEADERS or DATA, because peers probe bandwidth with pings.
 */
export class PingStrikes {
  private strikes = 0;
  private lastPing = -Infinity;
  private sentSincePing = false;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly now: () => number,
  ) {}

  /** We sent HEADERS or DATA. */
  sentFrame(): void {
    this.sentSincePing = true;
  }

  /** A PING arrived while `openStreams` are open. Returns whether the peer has used up its strikes. */
  received(openStreams: number): boolean {
    const { minPingIntervalMs, permitPingWithoutStreams, maxPingStrikes } = this.options;
    if (minPingIntervalMs === 0) return false;
    const now = this.now();
    const since = now - this.lastPing;
    this.lastPing = now;
    if (this.sentSincePing) {
      this.sentSincePing = false;
      this.strikes = 0;
      return false;
    }
    const idle = openStreams === 0 && !permitPingWithoutStreams;
    if (since < (idle ? IDLE_PING_INTERVAL_MS : minPingIntervalMs)) this.strikes++;
    return this.strikes > maxPingStrikes;
  }
}
