import { CommandKind } from '../apply/command.js';
import { encodeExpiry } from '../apply/lease-payload.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Lessor } from '../lease/lessor.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Counter, Meter } from '../platform/meter.js';
import type { LeaseRenewal } from './lease-renewal.js';
import type { Replica } from './replica.js';

/** How often expiry is looked for, and how many revokes one look proposes: 1,000 a second, as etcd bounds it. */
const intervalMs = 500;
const revokesPerInterval = 500;

/**
 * Revokes leases that ran out. Only the leader does, in the term in which it armed the clocks; its proposals carry that
 * term and count in no other (see StateMachine.expire). Never early; it may be late.
 */
export class LeaseExpiry {
  private term: number | undefined;
  private timer: Timer | undefined;
  private readonly expired: Counter;

  constructor(
    private readonly parts: {
      readonly replica: Replica;
      readonly lessor: Lessor;
      readonly machine: StateMachine;
      readonly clock: Clock;
      readonly meter: Meter;
      readonly renewal: LeaseRenewal;
      /** Added to every lease when a leader starts: renewals may have been lost with its predecessor. */
      readonly extendMs: number;
    },
  ) {
    this.expired = parts.meter.counter(
      'etcd_debugging_server_lease_expired_total',
      'Leases revoked because they ran out.',
    );
  }

  /** The member leads in `term`, or with undefined leads no more. */
  leadershipChanged(term: number | undefined): void {
    if (term === this.term) return;
    this.term = term;
    this.timer?.cancel();
    const { lessor, clock, extendMs } = this.parts;
    if (term === undefined) return lessor.demote();
    lessor.promote(clock.now(), extendMs);
    this.lookLater();
  }

  stop(): void {
    this.timer?.cancel();
  }

  private lookLater(): void {
    this.timer = this.parts.clock.after(intervalMs, () => {
      this.look();
      if (this.term !== undefined) this.lookLater();
    });
  }

  private look(): void {
    const { lessor, clock, replica, machine } = this.parts;
    const term = this.term;
    if (term === undefined) return;
    this.parts.renewal.tick(term);
    const { appliedIndex } = machine;
    for (const id of lessor.expired(clock.now(), revokesPerInterval)) {
      replica.proposeAsLeader(CommandKind.LeaseExpire, encodeExpiry({ term, appliedIndex }, id), (error) => {
        if (error === undefined) this.expired.add(1);
        // As while leadership is on its way to somebody who then does not take it.
        else if (error.reason === 'LeaderChanged') lessor.notRevoked(id, clock.now());
      });
    }
  }
}
