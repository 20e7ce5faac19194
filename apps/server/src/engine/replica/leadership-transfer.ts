import type { Clock } from '../platform/clock.js';
import type { MemberId } from '../raft/message.js';
import type { RaftStatus } from '../raft/raw-node.js';
import type { Replica } from './replica.js';

/** How often it is looked whether another member leads. */
const lookEveryMs = 10;

/** Whether the member needs nobody's vote but its own. */
export function isSoleVoter({ id, confState: { voters, outgoing } }: RaftStatus): boolean {
  return voters.length === 1 && voters[0] === id && outgoing.length === 0;
}

/** The voter, other than the leader itself, that is furthest in the log and was heard lately; undefined when there is none. */
export function heirOf(
  { id, confState, progress }: RaftStatus,
  leaving: readonly MemberId[] = [],
): MemberId | undefined {
  let best: { readonly member: MemberId; readonly match: number } | undefined;
  for (const { member, match, recentActive } of progress) {
    if (member === id || !recentActive || !confState.voters.includes(member) || leaving.includes(member))
      continue;
    if (best === undefined || match > best.match) best = { member, match };
  }
  return best?.member;
}

/** Hands leadership over, and waits until another member has it. */
export class LeadershipTransfer {
  constructor(
    private readonly replica: Replica,
    private readonly clock: Clock,
    private readonly electionMs: number,
  ) {}

  /** Whom to hand leadership to, other than those who leave; undefined when there is nobody. */
  candidate(leaving: readonly MemberId[] = []): MemberId | undefined {
    return heirOf(this.replica.status, leaving);
  }

  /** Whether leadership may be handed to this member. */
  isVoter(member: MemberId): boolean {
    return this.replica.status.confState.voters.includes(member);
  }

  /** Hands over before this member goes: as `transfer`, within two election timeouts. */
  handOver(to: MemberId, done: (isDone: boolean) => void): void {
    this.transfer(to, 2 * this.electionMs, done);
  }

  /** Calls back with true when `to` leads, with false when it does not within `withinMs`. */
  transfer(to: MemberId, withinMs: number, done: (isDone: boolean) => void): void {
    if (this.replica.leader === to) return done(true);
    const until = this.clock.now() + withinMs;
    let isBegun = this.replica.transferLeadership(to);
    const look = (): void => {
      if (this.replica.leader === to) return done(true);
      if (this.clock.now() >= until) return done(false);
      // An attempt is given up after an election timeout; this member still leads then, and may try again.
      if (!isBegun && this.replica.leads) isBegun = this.replica.transferLeadership(to);
      this.clock.after(lookEveryMs, look);
    };
    look();
  }
}
