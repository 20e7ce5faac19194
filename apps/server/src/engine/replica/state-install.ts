import type { Integrity } from '../apply/chains.js';
import type { Backend } from '../backend/backend.js';
import { assert } from '../platform/assert.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Disk } from '../platform/disk.js';
import type { Logger } from '../platform/logger.js';
import type { MemberId } from '../raft/message.js';
import type { RawNode, SnapshotInstall } from '../raft/raw-node.js';
import { SnapshotError } from '../snapshot/snapshot-error.js';
import type { Wal } from '../wal/wal.js';
import type { ApplyQueue } from './apply-queue.js';
import type { LogCut } from './log-cut.js';
import type { PeerMessage } from './peer-message.js';
import type { ReceivedState } from './peer-transport.js';
import { isLackOfSpace, isStorageFailure } from './storage-failure.js';

/** After a state that could not be stored the leader is not made to send another before this time has passed. */
const pauseMs = 2_000;

export interface StateInstallParts {
  readonly memberId: MemberId;
  readonly raft: RawNode;
  readonly backend: Backend;
  readonly wal: Wal;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly logCut: LogCut;
  /** Takes all work from the core and does it, now. */
  readonly turn: () => void;
  /** What waits to be applied. */
  readonly queue: ApplyQueue;
  /** What is said of this member's own state. */
  readonly integrity: () => Integrity;
  /** The rows of the store were replaced by those at this place: whoever keeps parts of them in memory reads them anew. */
  readonly replaced: (state: SnapshotInstall) => void;
  readonly resumed: () => void;
  /** The state does not fit on the disk. */
  readonly noSpace: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Makes a state that the leader sent the state of this member. All that may fail without harm comes first: it is copied
 * into the store's directory and checked, and the core does not know of it. Then the core takes it, and from there on
 * there is no way back: the store first, then the log, which begins anew behind it, so that a crash between the two leaves
 * a store that is ahead of its log and says why.
 *
 * A state that does not fit on the disk, or is damaged, is dropped, and the member goes on with what it has; the leader
 * sends another later.
 *
 * A state in doubt is replaced although the log reaches beyond the new one. The log stays: what this member acknowledged
 * it must keep. Of a log in doubt what the state covers is dropped.
 *
 * Invariant: one state is installed at a time; others that arrive meanwhile are dropped, and the leader asks again.
 */
export class StateInstall {
  private received: ReceivedState | undefined;
  /** The core has taken the state, or what it replaces was given up: the member cannot go on without it. */
  private isBegun = false;
  private isStaging = false;
  /** Runs after a state that could not be stored. */
  private pause: Timer | undefined;

  constructor(private readonly parts: StateInstallParts) {}

  /**
   * Whether a message is to be dropped: entries, while a state is on its way into the store, and for a while
   * after one did not get there. Refusing them would make the
   * leader send another state, and what the log is to hold after this one is not known yet.
   */
  ignores({ kind }: PeerMessage): boolean {
    return (this.isStaging || this.pause !== undefined) && kind === 'append';
  }

  /** A state arrived whole. The core decides whether it is of use. */
  arrived(state: ReceivedState): void {
    const { raft } = this.parts;
    if (this.received !== undefined) return this.discard(state);
    this.received = state;
    if (raft.lacks(state.index, state.term)) return this.run(state, () => this.install(state));
    this.tellCore(state);
    if (this.replacesDoubted(state)) this.run(state, () => this.exchange(state));
    else this.done();
  }

  /** The core has taken the state that arrived. */
  begin({ index }: SnapshotInstall): void {
    assert(
      this.received?.index === index,
      `the state at entry ${index} that the core has taken is the one that arrived`,
    );
    this.isBegun = true;
    this.parts.queue.abandon();
  }

  private tellCore({ from, senderTerm: term, index, term: snapshotTerm, confState }: ReceivedState): void {
    const { raft, turn, memberId } = this.parts;
    raft.step({ kind: 'snapshot', from, to: memberId, term, index, snapshotTerm, confState });
    turn();
  }

  /** False when the state in use is not in doubt, or the new one is of no use: another is asked for then. */
  private replacesDoubted({ index }: ReceivedState): boolean {
    const { integrity, queue, backend } = this.parts;
    return integrity() !== 'sound' && index > backend.applied.index && queue.holds(index);
  }

  private run(state: ReceivedState, work: () => Promise<void>): void {
    work().catch((error: unknown) => this.failed(state, error));
  }

  private async install(state: ReceivedState): Promise<void> {
    const { raft, backend, wal, logger, logCut, replaced, resumed } = this.parts;
    const { index, term, confState, path } = state;
    const isTaken = (): boolean => {
      this.tellCore(state);
      return this.isBegun;
    };
    logger.info('installing a state from the leader', { index, term });
    this.isStaging = true;
    await backend.install(path, { index, term }, () => replaced({ index, term, confState }), isTaken);
    await new Promise<void>((resolve) => wal.restartAfter({ index, term, confState }, resolve));
    logCut.restarted(index);
    raft.installed(index);
    this.done();
    resumed();
    logger.info('installed a state from the leader', { index, term });
  }

  private async exchange(state: ReceivedState): Promise<void> {
    const { backend, logCut, logger, integrity, replaced, resumed, raft } = this.parts;
    const { index, term, confState, path } = state;
    const was = integrity();
    logger.info('replacing a state in doubt by one of the leader', { index, term });
    const isTaken = (): boolean => this.skipTo(state);
    await backend.install(path, { index, term }, () => replaced({ index, term, confState }), isTaken);
    raft.applied(index);
    if (was === 'log-differs') await new Promise<void>((resolve) => logCut.forget({ index, term }, resolve));
    this.done();
    resumed();
  }

  /** Gives up what is to be replaced; false when it is of no use any more. */
  private skipTo({ index }: ReceivedState): boolean {
    const { queue, raft } = this.parts;
    const last = queue.skipTo(index);
    if (last > 0) raft.applied(last);
    this.isBegun = last !== index;
    return this.isBegun;
  }

  /** What could not be stored, and changed nothing, is dropped. */
  private failed({ index, term }: ReceivedState, error: unknown): void {
    const { fail, logger, noSpace, clock } = this.parts;
    const isHarmless = isLackOfSpace(error) || error instanceof SnapshotError;
    if (this.isBegun || !isHarmless) return fail(error instanceof Error ? error : new Error(String(error)));
    const { message: reason } = error;
    logger.warn('a state from the leader was not installed; it is to send another', { index, term, reason });
    if (isLackOfSpace(error)) noSpace();
    if (this.isStaging) this.pause ??= clock.after(pauseMs, () => (this.pause = undefined));
    this.done();
  }

  private done(): void {
    const { received } = this;
    this.received = undefined;
    this.isBegun = false;
    this.isStaging = false;
    if (received !== undefined) this.discard(received);
  }

  private discard({ path }: ReceivedState): void {
    this.parts.disk.remove(path).catch((error: unknown) => {
      if (isStorageFailure(error)) return this.parts.fail(error);
      const reason = error instanceof Error ? error.message : String(error);
      this.parts.logger.warn('a received state could not be removed', { path, reason });
    });
  }
}
