import { type EntryKind, type MemberId, type Message } from './message.js';
import { type MemberProgress } from './status.js';
import { type ProposeResult, type RoleName } from './work.js';

/**
 * What a member does in one role. A role object lives for one stay in its role; all state that ends with the role is
 * its own. Messages of another term, votes and malformed messages never reach it (see `Raft.step`).
 */
export interface Role {
  readonly name: RoleName;
  tick(): void;
  /** A message of the current term, or an answer to a pre-vote. */
  step(message: Message): void;
  propose(data: Uint8Array, kind: EntryKind): ProposeResult;
  readIndex(request: bigint | number): void;
  /** More of the log or of the hard state is durable. */
  persisted(): void;
  leaderUnreachable(): void;
  sendFailed(member: MemberId): void;
  /** Another configuration is in force (`Raft.configuration`). */
  reconfigured(): void;
  /** The joint configuration in force is to be left by itself: a leader proposes that when nothing stands against it. */
  leaveJoint(): void;
  transferLeadership(to: MemberId): boolean;
  snapshotSent(to: MemberId, mark: { readonly index: number; readonly term: number } | undefined): void;
  /** Whether this member leads and the state machine holds an entry of its term. */
  hasAppliedInTerm(): boolean;
  /** Whether `flush` would send or answer something. */
  hasPending(): boolean;
  /** Sends what was put off to the end of the turn, so that one turn makes one batch. */
  flush(): void;
  /** The role ended; what waits in it is answered. The new term and role are set already. */
  leave(): void;
  status(): RoleStatus;
}

export interface RoleStatus {
  readonly uncommittedBytes: number;
  readonly pendingReads: number;
  readonly progress: readonly MemberProgress[];
}

/** The answer of every role but the leader's to a proposal. */
export function refuseProposal(leader: MemberId): ProposeResult {
  return { dropped: 'not-leader', leader };
}
