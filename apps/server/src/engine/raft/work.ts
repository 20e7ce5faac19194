import { type ConfState, type Entry, type HardState, type MemberId, type Message } from './message.js';

export type RoleName = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

/**
 * A batch for the disk. Batches are written in the order in which they were taken, several may be under way, and
 * `RawNode.persisted(id)` is called in the same order when all of a batch is durable.
 */
export interface PersistBatch {
  /** 1, 2, 3, … within one life of the member. */
  readonly id: number;
  /**
   * The new hard state, or undefined when it did not change. It is written after the entries, so that a batch that was
   * torn by a crash never keeps a commit index beyond its entries.
   */
  readonly hardState: HardState | undefined;
  /**
   * Entries to append. When the first index is not above the last one written, everything from that index on is
   * replaced: the disk must forget the conflicting suffix together with this append.
   */
  readonly entries: readonly Entry[];
  /** Leave only when this batch (and so every earlier one) is durable. */
  readonly messages: readonly Message[];
  /** False when nothing here needs a sync of its own: the commit index may lag on disk, and `messages` wait for earlier batches. */
  readonly mustSync: boolean;
}

/** The answer to one `readIndex` call. Exactly one arrives for every call. */
export type ReadResult =
  | {
      readonly kind: 'index';
      readonly request: bigint | number;
      /** The read sees every write acknowledged before the call once this index is applied. */
      readonly index: number;
    }
  | { readonly kind: 'rejected'; readonly request: bigint | number; readonly reason: ReadRejection };

/**
 * - `no-leader`: this member knows no leader to ask.
 * - `leader-changed`: the leader (or the term) changed while the request waited.
 * - `timeout`: the leader did not answer within an election timeout, so the question or the answer was lost.
 */
export type ReadRejection = 'no-leader' | 'leader-changed' | 'timeout';

/**
 * The role now, after one or more changes since the last `takeWork`: compare the term to notice a leadership that was
 * lost and won again in between.
 */
export interface RoleChange {
  readonly role: RoleName;
  readonly term: number;
  /** 0n when unknown. */
  readonly leader: MemberId;
}

/** A member needs the whole state, because the log no longer holds what it lacks. */
export interface SnapshotRequest {
  readonly to: MemberId;
}

/**
 * The state that arrived replaces all that this member has: the log restarts behind `index`, the state machine becomes
 * the received state, durably, and then `RawNode.installed(index)` is called.
 */
export interface SnapshotInstall {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
}

/**
 * All that the host has to do since the last time it asked. Within one Work nothing has to wait for anything else,
 * except as {@link PersistBatch.messages} says.
 */
export interface Work {
  readonly persist: PersistBatch | undefined;
  /** May leave at once: what they imply is durable already, or they are a leader's entries, which may travel while it writes. */
  readonly messages: readonly Message[];
  /**
   * Apply in this order, then call `RawNode.applied`. Committed by the cluster and durable on this member. For each
   * entry of kind `config` call `RawNode.applyConfChange` before.
   */
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadResult[];
  readonly roleChange: RoleChange | undefined;
  /** Send each of these members a state and call `RawNode.snapshotSent`; a member is not listed again before that. */
  readonly snapshots: readonly SnapshotRequest[];
  /**
   * Until it is done (`RawNode.installed`) no Work holds anything to persist or to apply, and the member does not
   * campaign. Batches taken earlier are written and acknowledged first; what was handed out to be applied is finished
   * or given up before `installed` is called.
   */
  readonly install: SnapshotInstall | undefined;
}

/**
 * Why a proposal was not taken. It has no effect, now or later.
 *
 * - `not-leader`: this member does not lead, or hands in its leadership because it was removed.
 * - `too-many-uncommitted`: see `RaftConfig.maxUncommittedBytes`; later it may be taken.
 * - `config-change-pending`: a membership change is uncommitted or unapplied, a joint configuration is in force, or no
 *   entry of this leader's term is committed yet; later it may be taken.
 * - `transferring`: leadership is being handed over.
 */
export type DropReason = 'not-leader' | 'too-many-uncommitted' | 'config-change-pending' | 'transferring';

/** Where the proposal stands in the log (it may still be overwritten when the leader changes), or why it was dropped. */
export type ProposeResult =
  | { readonly index: number; readonly term: number; readonly dropped?: undefined }
  | { readonly dropped: DropReason; readonly leader: MemberId };
