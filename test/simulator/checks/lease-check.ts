import { type Schedule } from '../world/schedule.js';
import { Violation } from '../world/violation.js';
import { type LeaseWatcher } from './committed-log.js';

interface LeaseTimes {
  ttlMs: number;
  /** When the last renewal was sent that its sender knows to have succeeded. */
  acknowledgedSend: number;
  /** When the clock of the lease may have started anew for the last time. */
  latestStart: number;
  expiredAt: number | undefined;
}

/** How often the member looks for leases that ran out, and what it adds to a TTL when it begins to lead. */
const lookMs = 500;

/** Leases against true time: they never expire early (E1), and not much too late (E2). */
export class LeaseCheck implements LeaseWatcher {
  expiries = 0;
  /** While members break and leaders change nothing can be said of how late an expiry may be. */
  isLenient = false;
  private readonly times = new Map<bigint, LeaseTimes>();
  private disturbedAt = 0;

  constructor(
    private readonly schedule: Schedule,
    /** What slow disks and stalls may add to an expiry. */
    private readonly slackMs: number,
    private readonly extendMs: number,
    /** By what share of time the clock of a member may be fast or slow. */
    private readonly drift: number,
  ) {}

  /** Expiry may start over: the member started again, or could not write. */
  disturbed(): void {
    this.disturbedAt = this.schedule.now;
  }

  granted(id: bigint, ttlSeconds: number): void {
    const { now } = this.schedule;
    const fresh = { ttlMs: ttlSeconds * 1000, acknowledgedSend: -1, latestStart: now, expiredAt: undefined };
    this.times.set(id, fresh);
  }

  /** A renewal reached the member. */
  renewing(id: bigint): void {
    const times = this.times.get(id);
    if (times !== undefined) times.latestStart = this.schedule.now;
  }

  /** A grant or renewal that was sent at `sentAt` is known to have succeeded. */
  acknowledged(id: bigint, sentAt: number): void {
    const times = this.times.get(id);
    if (times === undefined) return;
    times.acknowledgedSend = Math.max(times.acknowledgedSend, sentAt);
    // A member that was cut off may have passed it on long after it had arrived there.
    times.latestStart = this.schedule.now;
    if (times.expiredAt !== undefined) this.checkEarly(id, times, times.expiredAt);
  }

  revoked(id: bigint, byExpiry: boolean): void {
    const times = this.times.get(id);
    if (times === undefined || !byExpiry) return;
    const { now } = this.schedule;
    this.expiries++;
    times.expiredAt = now;
    this.checkEarly(id, times, now);
    const started = Math.max(times.latestStart, this.disturbedAt);
    const bound = started + times.ttlMs * (1 + this.drift) + this.extendMs + lookMs + this.slackMs;
    if (now <= bound || this.isLenient) return;
    throw new Violation('E2', `lease ${id} ran out ${(now - bound).toFixed(0)} ms too late`);
  }

  private checkEarly(id: bigint, times: LeaseTimes, expiredAt: number): void {
    const due = times.acknowledgedSend + times.ttlMs * (1 - this.drift);
    if (times.acknowledgedSend < 0 || expiredAt >= due) return;
    const early = (due - expiredAt).toFixed(0);
    throw new Violation(
      'E1',
      `lease ${id} ran out ${early} ms before ${times.ttlMs} ms had passed since a renewal`,
    );
  }
}
