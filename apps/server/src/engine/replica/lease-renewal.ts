import { ProtocolError } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import { encodeCheckpoints } from '../apply/lease-payload.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Lessor } from '../lease/lessor.js';
import type { Clock } from '../platform/clock.js';
import type { Replica } from './replica.js';

/** Called exactly once, with the TTL in seconds that holds from now, 0 when there is no such lease. */
export type RenewalDone = (error: ProtocolError | undefined, ttlSeconds: number) => void;

/** Checkpoints that one command holds at most. */
const checkpointsPerCommand = 1_000;
/** How often it is looked which leases are due for a checkpoint, unless they are due more often. */
const lookEveryMs = 5_000;

export interface RenewalParts {
  readonly replica: Replica;
  readonly machine: StateMachine;
  readonly lessor: Lessor;
  readonly clock: Clock;
}

/**
 * Renewals of leases by the leader, and the checkpoints of what they have left, which the next leader starts from.
 *
 * A checkpoint never shortens what a holder was promised: who renews a lease that has one, or whose checkpoint is on its
 * way through the log, takes it back through the log before the renewal is answered.
 *
 * Invariant: `underway` holds the leases whose checkpoint this member has proposed and does not know the outcome of.
 */
export class LeaseRenewal {
  private readonly underway = new Set<bigint>();
  private nextLookMs = 0;

  constructor(private readonly parts: RenewalParts) {}

  /**
   * Renews on a confirmed read index, so that a member that no longer leads cannot promise time that its successor will
   * not give. NotLeader means that nothing was done.
   */
  renew(id: bigint, done: RenewalDone): void {
    this.parts.replica.linearizable((error) => {
      if (error !== undefined) return done(error, 0);
      this.renewNow(id, done);
    });
  }

  /** Proposes checkpoints that are due, in `term`. */
  tick(term: number): void {
    const { clock, lessor, replica, machine } = this.parts;
    const now = clock.now();
    if (now < this.nextLookMs) return;
    this.nextLookMs = now + Math.min(lookEveryMs, lessor.checkpointIntervalMs);
    const due = lessor
      .dueCheckpoints(now, checkpointsPerCommand)
      .filter(
        ({ id, remainingSeconds }) => remainingSeconds > 0 || lessor.get(id)?.checkpointSeconds !== undefined,
      );
    if (due.length === 0) return;
    for (const { id } of due) this.underway.add(id);
    const { appliedIndex } = machine;
    replica.proposeAsLeader(
      CommandKind.LeaseCheckpoint,
      encodeCheckpoints({ term, appliedIndex }, due),
      () => {
        for (const { id } of due) this.underway.delete(id);
      },
    );
    // There may be more of them.
    if (due.length === checkpointsPerCommand) this.nextLookMs = now;
  }

  private renewNow(id: bigint, done: RenewalDone): void {
    const { replica, lessor, clock, machine } = this.parts;
    const { leadingTerm } = replica;
    if (leadingTerm === undefined) return done(ProtocolError.of('NotLeader'), 0);
    const ttlSeconds = lessor.renew(id, clock.now());
    if (ttlSeconds === undefined) return done(undefined, 0);
    // The caller learns that it is gone when it is.
    if (ttlSeconds === 'expired') return machine.whenRevoked(id, () => done(undefined, 0));
    if (lessor.get(id)?.checkpointSeconds === undefined && !this.underway.has(id))
      return done(undefined, ttlSeconds);
    const { appliedIndex } = machine;
    const cancelled = encodeCheckpoints({ term: leadingTerm, appliedIndex }, [{ id, remainingSeconds: 0 }]);
    replica.proposeAsLeader(CommandKind.LeaseCheckpoint, cancelled, (error) => {
      if (error === undefined) done(undefined, lessor.has(id) ? ttlSeconds : 0);
      else done(error.reason === 'LeaderChanged' ? ProtocolError.of('NotLeader') : error, 0);
    });
  }
}
