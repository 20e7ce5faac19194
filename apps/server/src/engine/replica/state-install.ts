import type { Integrity } from '../apply/chains.js';
import type { Backend } from '../backend/backend.js';
import type { Disk } from '../platform/disk.js';
import type { Logger } from '../platform/logger.js';
import type { MemberId } from '../raft/message.js';
import type { RawNode, SnapshotInstall } from '../raft/raw-node.js';
import type { Wal } from '../wal/wal.js';
import type { ApplyQueue } from './apply-queue.js';
import type { LogCut } from './log-cut.js';
import type { ReceivedState } from './peer-transport.js';
import { isStorageFailure } from './storage-failure.js';

export interface StateInstallParts {
  readonly memberId: MemberId;
  readonly raft: RawNode;
  readonly backend: Backend;
  readonly wal: Wal;
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
  readonly fail: (error: Error) => void;
}

/**
 * Makes a state that the leader sent the state of this member: the store first, then the log, which begins anew behind
 * it, so that a crash between the two leaves a store that is ahead of its log and says why.
 *
 * A state in doubt is replaced although the log reaches beyond the new one. The log stays: what this member acknowledged
 * it must keep. Of a log in doubt what the state covers is dropped.
 *
 * Invariant: one state is installed at a time; others that arrive meanwhile are dropped, and the leader asks again.
 */
export class StateInstall {
  private received: ReceivedState | undefined;
  private isInstalling = false;

  constructor(private readonly parts: StateInstallParts) {}

  /** A state arrived whole. The core decides whether it is of use. */
  arrived(state: ReceivedState): void {
    const { raft, turn, memberId } = this.parts;
    if (this.received !== undefined) return this.discard(state);
    this.received = state;
    const { from, senderTerm: term, index, term: snapshotTerm, confState } = state;
    raft.step({ kind: 'snapshot', from, to: memberId, term, index, snapshotTerm, confState });
    turn();
    if (!this.isInstalling && !this.replaceDoubted(state)) this.done();
  }

  /** The core has taken the state that arrived. */
  begin(install: SnapshotInstall): void {
    const { received } = this;
    this.isInstalling = true;
    if (received === undefined || received.index !== install.index) {
      return this.parts.fail(
        new Error(`a state at entry ${install.index} is to be installed, but none arrived`),
      );
    }
    this.install(install, received).catch((error: unknown) => {
      this.parts.fail(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** False when the state in use is not in doubt, or the new one is of no use: another is asked for then. */
  private replaceDoubted(state: ReceivedState): boolean {
    const { integrity, queue, backend } = this.parts;
    const { index } = state;
    if (integrity() === 'sound' || index <= backend.applied.index || !queue.holds(index)) return false;
    this.isInstalling = true;
    this.exchange(state).catch((error: unknown) => {
      this.parts.fail(error instanceof Error ? error : new Error(String(error)));
    });
    return true;
  }

  private async exchange({ index, term, confState, path }: ReceivedState): Promise<void> {
    const { raft, queue, backend, logCut, logger, integrity, replaced, resumed } = this.parts;
    const was = integrity();
    const last = queue.skipTo(index);
    if (last > 0) raft.applied(last);
    if (last === index) return this.done();
    logger.info('replacing a state in doubt by one of the leader', { index, term });
    await backend.install(path, { index, term }, () => replaced({ index, term, confState }));
    raft.applied(index);
    if (was === 'log-differs') await new Promise<void>((resolve) => logCut.forget({ index, term }, resolve));
    this.done();
    resumed();
  }

  private async install(install: SnapshotInstall, { path }: ReceivedState): Promise<void> {
    const { raft, backend, wal, logger, logCut, queue, replaced, resumed } = this.parts;
    const { index, term, confState } = install;
    logger.info('installing a state from the leader', { index, term });
    queue.abandon();
    await backend.install(path, { index, term }, () => replaced(install));
    await new Promise<void>((resolve) => wal.restartAfter({ index, term, confState }, resolve));
    logCut.restarted(index);
    raft.installed(index);
    this.done();
    resumed();
    logger.info('installed a state from the leader', { index, term });
  }

  private done(): void {
    const { received } = this;
    this.received = undefined;
    this.isInstalling = false;
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
