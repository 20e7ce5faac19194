import type { Backend } from '../backend/backend.js';
import type { Disk } from '../platform/disk.js';
import type { Logger } from '../platform/logger.js';
import type { MemberId } from '../raft/message.js';
import type { RawNode, SnapshotInstall } from '../raft/raw-node.js';
import type { Wal } from '../wal/wal.js';
import type { LogCut } from './log-cut.js';
import type { ReceivedState } from './peer-transport.js';

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
  /** Nothing is applied any more, and no entry is half applied, until `resumed`. */
  readonly paused: () => void;
  /** The rows of the store were replaced by those at this place: whoever keeps parts of them in memory reads them anew. */
  readonly replaced: (state: SnapshotInstall) => void;
  readonly resumed: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Makes a state that the leader sent the state of this member: the store first, then the log, which begins anew behind
 * it, so that a crash between the two leaves a store that is ahead of its log and says why.
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
    if (!this.isInstalling) this.done();
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

  private async install(install: SnapshotInstall, { path }: ReceivedState): Promise<void> {
    const { raft, backend, wal, logger, logCut, paused, replaced, resumed } = this.parts;
    const { index, term, confState } = install;
    logger.info('installing a state from the leader', { index, term });
    paused();
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
      const reason = error instanceof Error ? error.message : String(error);
      this.parts.logger.warn('a received state could not be removed', { path, reason });
    });
  }
}
