import { assert } from '../platform/assert.js';
import { type ConfChange } from './confchange/conf-change.js';
import { type RaftConfig, type RecoveredState } from './config.js';
import { type ConfState, type EntryKind, type MemberId, type Message, NO_MEMBER } from './message.js';
import { Raft } from './raft.js';
import { type RaftStatus } from './status.js';
import {
  type PersistBatch,
  type ProposeResult,
  type ReadResult,
  type RoleChange,
  type SnapshotInstall,
  type SnapshotRequest,
  type Work,
} from './work.js';

const NO_READS: readonly ReadResult[] = [];
const NO_SNAPSHOTS: readonly SnapshotRequest[] = [];

/**
 * The consensus core of one member, as its host drives it. It only computes: ticks, messages, proposals and
 * acknowledgements go in, {@link Work} comes out. It never reads a clock, never does I/O, never calls back.
 *
 * The host's loop, once per turn, after everything that arrived in the turn was handed in:
 *
 *     while (node.hasWork()) {
 *       const work = node.takeWork();
 *       // persist: write work.persist in order; when it is durable, send its messages and call persisted(id)
 *       // send: work.messages, at once, in any order, or never (loss, repetition and reordering are tolerated)
 *       // apply: work.committed in order, then applied(last index)
 *     }
 *
 * Not reentrant: no method is called from within another. Throws `AssertionError` when an invariant of Raft does not
 * hold; the host must stop the member then, because its state cannot be explained any more.
 */
export class RawNode {
  protected readonly raft: Raft;
  #reported: RoleChange;
  /** A tick passed since the commit index moved: time to bring it to the disk although nothing else goes there. */
  #isCommitDue = false;

  constructor(config: RaftConfig, recovered: RecoveredState) {
    this.raft = new Raft(config, recovered);
    this.#reported = this.#roleNow();
  }

  /** One unit of time passed. */
  tick(): void {
    this.#isCommitDue = this.raft.log.commit > this.raft.unstable.handedCommit;
    this.raft.role.tick();
  }

  /** Campaigns now, with a pre-vote first. Without effect on a leader and on a member that may not vote. */
  campaign(): void {
    this.raft.campaign();
  }

  /** A message from another member. Malformed ones are dropped and counted (`RaftStatus.refusedMessages`). */
  step(message: Message): void {
    this.raft.step(message);
  }

  /**
   * The leader's connection was closed and a new one is refused: its process is gone. Forgets the leader, which alone
   * ends its lease on this member's vote, and campaigns after a random delay. A time-out is not such evidence. Safe,
   * because no read relies on a leader's lease.
   */
  leaderUnreachable(): void {
    this.raft.role.leaderUnreachable();
  }

  /**
   * Messages to this member were lost on the way, as far as the host can tell (its connection broke). A leader then
   * finds out what arrived instead of sending on; without this call the next heartbeats do.
   */
  sendFailed(member: MemberId): void {
    this.raft.role.sendFailed(member);
  }

  /**
   * Hands leadership to a voter of the configuration: it is brought up to date, then told to campaign at once (thesis
   * 3.10). Proposals are dropped meanwhile; after an election timeout the attempt is given up. Returns false when this
   * member does not lead or `to` is no voter that stays one; nothing happens then, nor when `to` is this member.
   */
  transferLeadership(to: MemberId): boolean {
    return this.raft.role.transferLeadership(to);
  }

  /**
   * A leader follows nobody from now on, in its term: for a host that cannot do its work in time (its disk or its event
   * loop stalls), so that another can. Without effect on members that do not lead.
   */
  stepDown(): void {
    if (this.raft.role.name === 'leader') this.raft.becomeFollower(this.raft.term, NO_MEMBER);
  }

  /**
   * Appends a command to the log, on the leader only. A dropped proposal never takes effect. A taken one is decided when
   * an entry comes out at its index: its own if the term is the same, otherwise it is lost for good. The data of kind
   * `config` is an encoded {@link ConfChange}; one of them is under way at a time.
   *
   * @throws MalformedConfChangeError when data of kind `config` is something else.
   */
  propose(data: Uint8Array, kind: EntryKind = 'normal'): ProposeResult {
    return this.raft.role.propose(data, kind);
  }

  /**
   * Asks for an index that covers every write acknowledged anywhere before this call. The answer comes in `Work.reads`
   * under the same `request`, exactly once, as an index or a rejection. Reads of one turn share one round.
   */
  readIndex(request: bigint | number): void {
    this.raft.role.readIndex(request);
  }

  /**
   * Whether applied state is linearizable without a round: this member is the only voter and has applied an entry of
   * its own term, so everything acknowledged before is in it.
   */
  canReadLocally(): boolean {
    const { configuration, id, role } = this.raft;
    return role.hasAppliedInTerm() && configuration.isSoleVoter(id);
  }

  /** Whether `takeWork` has anything to return. O(members). */
  hasWork(): boolean {
    const { role, reads, outbox, log, unstable, snapshots, install, term, isInstalling } = this.raft;
    return (
      role.hasPending() ||
      reads.length > 0 ||
      outbox.hasLeaving(term, unstable, isInstalling) ||
      log.hasCommitted(unstable.persisted) ||
      this.#mustPersist() ||
      this.#isRoleNews() ||
      snapshots.length > 0 ||
      install !== undefined
    );
  }

  /** All that is to be done since the last call. What it hands out is handed out once. */
  takeWork(): Work {
    const { raft } = this;
    const { log, unstable } = raft;
    raft.role.flush();
    const { now, afterPersist } = raft.outbox.take(raft.term, unstable, raft.isInstalling);
    let persist: PersistBatch | undefined;
    if (afterPersist.length > 0 || this.#mustPersist()) {
      persist = unstable.takeBatch(log, raft.term, raft.vote, afterPersist);
      this.#isCommitDue = false;
    }
    const committed = log.takeCommitted(unstable.persisted);
    return {
      persist,
      messages: now,
      committed,
      reads: this.#takeReads(),
      roleChange: this.#takeRoleChange(),
      snapshots: this.#takeSnapshots(),
      install: this.#takeInstall(),
    };
  }

  /**
   * The batch is durable, and so is every batch before it.
   *
   * @throws AssertionError when it is not the oldest one outstanding.
   */
  persisted(persistId: number): void {
    this.raft.unstable.acknowledge(persistId);
    this.raft.role.persisted();
  }

  /** The state machine holds everything up to `index`, membership changes included (`applyConfChange`). */
  applied(index: number): void {
    this.raft.log.appliedTo(index);
    if (this.raft.configuration.confState.autoLeave) this.raft.role.leaveJoint();
  }

  /**
   * The state machine has decided on the oldest `config` entry that was handed out and not answered yet. Called exactly
   * once for each of them, in order, before `applied` of its index; undefined when the state machine refuses the change.
   * A change that does not fit the configuration (`applyChange` says so beforehand) changes nothing either.
   *
   * @returns the configuration in force from now on.
   * @throws AssertionError when no such entry is unanswered.
   */
  applyConfChange(change: ConfChange | undefined): ConfState {
    return this.raft.applyConfChange(change);
  }

  /**
   * The transfer that `Work.snapshots` asked for has ended: the member holds a state up to `mark`, or, when undefined,
   * it failed. In both cases the leader finds out what the member has, as soon as it answers again, and asks for
   * another state if it has to. Harmless when leadership changed meanwhile.
   */
  snapshotSent(to: MemberId, mark: { readonly index: number; readonly term: number } | undefined): void {
    this.raft.role.snapshotSent(to, mark);
  }

  /**
   * Whether a state at `index`, whose entry has `term`, is one that this member lacks: the core would have it installed.
   * Of any other it only learns what is committed.
   */
  lacks(index: number, term: number): boolean {
    const { log, isInstalling } = this.raft;
    return !isInstalling && index > log.commit && !log.matches(index, term);
  }

  /**
   * What `Work.install` asked for is done and durable: log and state are those at `index`. Its configuration comes into
   * force, and the leader gets its answer.
   *
   * @throws AssertionError when no state with this index is being installed.
   */
  installed(index: number): void {
    this.raft.installed(index);
  }

  /**
   * Drops entries up to `upTo` from memory, but none that is unapplied, not durable, or retained for members that lag
   * (`RaftConfig.retainedEntries`).
   */
  compact(upTo: number): void {
    const { log, config, unstable, isInstalling } = this.raft;
    if (isInstalling) return;
    assert(log.applied <= unstable.persisted, 'only durable entries are applied');
    log.compact(upTo, config.retainedEntries, config.maxRetainedBytes);
  }

  /** Drops entries up to `upTo` from memory even if others may need them: this member's copies are not to be trusted. */
  forget(upTo: number): void {
    this.raft.log.compact(upTo, 0, 0);
  }

  /** The last entry that memory does not hold any more, 0 when it holds all: where a log may begin that is cut as far. */
  get logStart(): { readonly index: number; readonly term: number } {
    const { log } = this.raft;
    const index = log.firstIndex - 1;
    return { index, term: log.termAt(index) };
  }

  status(): RaftStatus {
    const { raft } = this;
    return {
      id: raft.id,
      role: raft.role.name,
      term: raft.term,
      vote: raft.vote,
      leader: raft.leader,
      commit: raft.log.commit,
      applied: raft.log.applied,
      firstIndex: raft.log.firstIndex,
      lastIndex: raft.log.lastIndex,
      persisted: raft.unstable.persisted,
      refusedMessages: raft.refusedMessages,
      confState: raft.configuration.confState,
      ...raft.role.status(),
    };
  }

  /** The commit index alone rides with the next batch or waits for the next tick: losing it costs nothing. */
  #mustPersist(): boolean {
    const { log, unstable, term, vote, isInstalling } = this.raft;
    if (isInstalling) return false;
    if (unstable.needsSync(log.lastIndex, term, vote)) return true;
    return this.#isCommitDue && log.commit > unstable.handedCommit;
  }

  #takeReads(): readonly ReadResult[] {
    const { reads } = this.raft;
    if (reads.length === 0) return NO_READS;
    this.raft.reads = [];
    return reads;
  }

  #takeSnapshots(): readonly SnapshotRequest[] {
    const { snapshots } = this.raft;
    if (snapshots.length === 0) return NO_SNAPSHOTS;
    this.raft.snapshots = [];
    return snapshots;
  }

  #takeInstall(): SnapshotInstall | undefined {
    const { install } = this.raft;
    this.raft.install = undefined;
    return install;
  }

  #isRoleNews(): boolean {
    const { role, term, leader } = this.#reported;
    return role !== this.raft.role.name || term !== this.raft.term || leader !== this.raft.leader;
  }

  #takeRoleChange(): RoleChange | undefined {
    if (!this.#isRoleNews()) return undefined;
    this.#reported = this.#roleNow();
    return this.#reported;
  }

  #roleNow(): RoleChange {
    return { role: this.raft.role.name, term: this.raft.term, leader: this.raft.leader };
  }
}

export { applyChange, type ConfChangeRefusal, type ConfChangeResult } from './confchange/apply-change.js';
export {
  type ConfChange,
  type ConfChangeType,
  type ConfTransition,
  decodeConfChange,
  encodeConfChange,
  MalformedConfChangeError,
  type SingleChange,
} from './confchange/conf-change.js';
export { type RaftConfig, type RaftRandom, type RecoveredState } from './config.js';
export { type MemberProgress, type RaftStatus } from './status.js';
export {
  type DropReason,
  type PersistBatch,
  type ProposeResult,
  type ReadRejection,
  type ReadResult,
  type RoleChange,
  type RoleName,
  type SnapshotInstall,
  type SnapshotRequest,
  type Work,
} from './work.js';
export type { MemberId };
