import { type ConfState, type MemberId } from './message.js';
import { type ProgressState } from './tracker/progress.js';
import { type RoleName } from './work.js';

/** What the leader knows of one member. */
export interface MemberProgress {
  readonly member: MemberId;
  readonly isLearner: boolean;
  readonly state: ProgressState;
  /** The highest index known to be durable on the member. */
  readonly match: number;
  /** The next index to send. */
  readonly next: number;
  /** Heard from since the last check-quorum round. */
  readonly recentActive: boolean;
  /** Nothing more is sent until the member answers. */
  readonly paused: boolean;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
}

/** A picture of the member for operators, metrics and tests; a copy that does not change. */
export interface RaftStatus {
  readonly id: MemberId;
  readonly role: RoleName;
  readonly term: number;
  readonly vote: MemberId;
  /** 0n when unknown. */
  readonly leader: MemberId;
  readonly commit: number;
  readonly applied: number;
  /** The first index still in memory. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** The last index durable on this member. */
  readonly persisted: number;
  readonly uncommittedBytes: number;
  readonly pendingReads: number;
  /** Messages dropped because no correct member sends them here. */
  readonly refusedMessages: number;
  readonly confState: ConfState;
  /** Empty unless this member leads. */
  readonly progress: readonly MemberProgress[];
}
