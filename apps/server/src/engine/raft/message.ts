/** Identity of a member: the full unsigned 64 bits. 0n means "none". */
export type MemberId = bigint;

/** The absence of a member: no vote given, no leader known. */
export const NO_MEMBER: MemberId = 0n;

/** What an entry carries. */
export type EntryKind = 'normal' | 'config';

/**
 * One entry of the replicated log. Indexes and terms are counters from 1, held as safe integers; only identities are
 * bigint.
 */
export interface Entry {
  readonly index: number;
  readonly term: number;
  /** `normal`: a command for the state machine (empty data: a new leader's first entry). `config`: a membership change. */
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What a member must not forget: it is durable before any message that implies it leaves (Raft figure 2). */
export interface HardState {
  readonly term: number;
  readonly vote: MemberId;
  readonly commit: number;
}

/**
 * The members of a configuration. `outgoing` is non-empty only while a joint configuration is in force. All lists are
 * empty on a member that has started to join a cluster and knows nothing of it yet.
 */
export interface ConfState {
  readonly voters: readonly MemberId[];
  readonly learners: readonly MemberId[];
  readonly outgoing: readonly MemberId[];
  readonly learnersNext: readonly MemberId[];
  readonly autoLeave: boolean;
}

/** The parts that every message has. `term` is the sender's, except where a kind says otherwise. */
export interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: number;
}

/**
 * Would you vote for me? (thesis 9.6). Changes no one's term. `term` is the term that the sender would campaign in, one
 * above its own.
 */
export interface PreVote extends Envelope {
  readonly kind: 'pre-vote';
  readonly lastIndex: number;
  readonly lastTerm: number;
}

/** `term` repeats the request's when granted; when refused it is the sender's own. */
export interface PreVoteReply extends Envelope {
  readonly kind: 'pre-vote-reply';
  readonly granted: boolean;
}

/**
 * RequestVote (Raft figure 2). With `transfer` the leader itself asked the sender to campaign, so that who heard that
 * leader a moment ago may vote all the same (thesis 4.2.3).
 */
export interface Vote extends Envelope {
  readonly kind: 'vote';
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly transfer: boolean;
}

export interface VoteReply extends Envelope {
  readonly kind: 'vote-reply';
  readonly granted: boolean;
}

/** AppendEntries with or without entries. `entries[0].index` is `previousIndex + 1`, and so on without a gap. */
export interface Append extends Envelope {
  readonly kind: 'append';
  readonly previousIndex: number;
  readonly previousTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
}

/** The sender's log equals the leader's up to `index`, and is durable up to there. */
export interface AppendReply extends Envelope {
  readonly kind: 'append-reply';
  readonly index: number;
}

/**
 * The sender's log has no entry (`previousIndex`, the leader's term for it). `hintIndex` is the last index at or below
 * it that could still agree, and `hintTerm` the sender's term there, so that both sides skip whole terms (Raft 5.3).
 */
export interface AppendRejection extends Envelope {
  readonly kind: 'append-rejection';
  readonly previousIndex: number;
  readonly hintIndex: number;
  readonly hintTerm: number;
  /**
   * The sender has neither log nor configuration yet and needs a state: what a cluster begins with stands in no entry,
   * so the log alone, even from its first entry on, would not make a member of it.
   */
  readonly needsState: boolean;
}

/** `commit` never exceeds what the receiver acknowledged. `readSequence`: see {@link ReadIndexReply}; 0 when no read waits. */
export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat';
  readonly commit: number;
  readonly readSequence: number;
}

/** Repeats the `readSequence` of the heartbeat that it answers. */
export interface HeartbeatReply extends Envelope {
  readonly kind: 'heartbeat-reply';
  readonly readSequence: number;
}

/** A follower asks for a read index. `request` is opaque to the leader; the follower never uses a number again. */
export interface ReadIndexRequest extends Envelope {
  readonly kind: 'read-index';
  readonly request: number;
}

/**
 * A quorum confirmed the leader in round (`term`, `sequence`), which began after the request had arrived; `index` was
 * the commit index then. The leader alone makes these tokens and never uses one twice. Sequence 0: no round was needed,
 * because the leader and who asked are a quorum.
 */
export interface ReadIndexReply extends Envelope {
  readonly kind: 'read-index-reply';
  readonly request: number;
  readonly sequence: number;
  readonly index: number;
}

/** The asked member does not lead, or ceased to while the request waited. */
export interface ReadIndexRefusal extends Envelope {
  readonly kind: 'read-index-refusal';
  readonly request: number;
}

/**
 * Your term is over: the answer to every request of a lower term. It makes a leader step down that a quorum has left
 * behind, and frees a member whose own term is ahead of the leader's (thesis 9.6 with check-quorum).
 */
export interface StaleTerm extends Envelope {
  readonly kind: 'stale-term';
}

/**
 * The entry at `index`, which has the term `entryTerm`, is committed: sent beside a vote that is refused. A candidate
 * whose log has that entry may count by a configuration that is over: members that left it know that, and have longer
 * logs, so that it would ask them for ever.
 */
export interface Committed extends Envelope {
  readonly kind: 'committed';
  readonly index: number;
  readonly entryTerm: number;
}

/** The leader hands over: the receiver, which holds the whole log, campaigns at once (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly kind: 'timeout-now';
}

/**
 * A whole state has arrived from a member that led when it was asked for it, intact and on this member's disk; `term` is
 * one that the sender was in meanwhile. The host of the receiver makes
 * this message when that is so; it never travels by itself, and one that came over the network must not be stepped.
 */
export interface Snapshot extends Envelope {
  readonly kind: 'snapshot';
  /** The last entry that the state holds, and its term. */
  readonly index: number;
  readonly snapshotTerm: number;
  /** The configuration in force at `index`. */
  readonly confState: ConfState;
}

/**
 * Everything that members say to each other (a {@link Snapshot} accompanies a state that travels by its own way).
 * Messages are plain data and never change after they were made.
 */
export type Message =
  | PreVote
  | PreVoteReply
  | Vote
  | VoteReply
  | Append
  | AppendReply
  | AppendRejection
  | Heartbeat
  | HeartbeatReply
  | ReadIndexRequest
  | ReadIndexReply
  | ReadIndexRefusal
  | StaleTerm
  | Committed
  | TimeoutNow
  | Snapshot;

/** Bytes that an entry is counted with beside its data, in messages and in memory. */
const ENTRY_OVERHEAD_BYTES = 32;

/** The bytes that an entry counts for in message limits, inflight limits and retained log. */
export function entryBytes(entry: Entry): number {
  return entry.data.byteLength + ENTRY_OVERHEAD_BYTES;
}
