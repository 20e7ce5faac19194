import type { Backend } from '../backend/backend.js';
import { BackendError } from '../backend/backend-error.js';
import { AssertionError } from '../platform/assert.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Disk } from '../platform/disk.js';
import type { Logger } from '../platform/logger.js';
import type { ConfState, MemberId } from '../raft/message.js';
import type { RawNode } from '../raft/raw-node.js';
import { ConfigurationHistory } from './configuration-history.js';
import type { LogCut } from './log-cut.js';
import type { PeerTransport } from './peer-transport.js';
import { isLackOfSpace, isStorageFailure } from './storage-failure.js';

/** After a state has arrived its receiver asks for the entries that follow it; they stay for so long. */
const holdMs = 30_000;
/** How often it is looked whether a flush that a state waits for is put off. */
const lookMs = 1_000;
/** A state that this member has no room for is not copied again before this time has passed. */
const noSpacePauseMs = 2_000;

export interface StateTransferParts {
  readonly raft: RawNode;
  readonly backend: Backend;
  readonly transport: PeerTransport;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly logCut: LogCut;
  /** A directory of this member, for copies on their way. */
  readonly spoolDirectory: string;
  /** The core was told something: a turn is due. */
  readonly wake: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Sends the whole state to members that the log cannot bring up to date any more: a copy of the store at a flushed
 * boundary is written beside it while everything goes on, streamed, and removed.
 *
 * Invariant: one state is copied and sent at a time, to one member.
 */
export class StateTransfer {
  private readonly waiting: MemberId[] = [];
  /** Who is being sent a state. */
  private receiver: MemberId | undefined;
  private isStopped = false;
  private holding: Timer | undefined;
  private readonly configurations: ConfigurationHistory;

  constructor(private readonly parts: StateTransferParts) {
    const { raft, backend } = parts;
    this.configurations = new ConfigurationHistory(backend.applied.index, raft.status().confState);
  }

  /** A configuration came into force with the entry at `index`. */
  configured(index: number, confState: ConfState): void {
    this.configurations.add(index, confState);
    // A copy that is on its way is of what was flushed when it began.
    if (this.receiver === undefined) this.configurations.forgetBefore(this.parts.backend.flushed.index);
  }

  /** Removes what a crash left in the spool. */
  async clearSpool(): Promise<void> {
    const { disk, spoolDirectory } = this.parts;
    try {
      await disk.makeDirectory(spoolDirectory);
      for (const name of await disk.list(spoolDirectory)) await disk.remove(`${spoolDirectory}/${name}`);
    } catch (error) {
      this.failed('the spool of states could not be cleared', error);
    }
  }

  /** The core asked for it, and must be told when it was done. */
  send(to: MemberId): void {
    this.waiting.push(to);
    this.sendNext();
  }

  /** The member asked for it; it asks again when nothing comes. */
  offer(to: MemberId): void {
    if (this.receiver !== to && !this.waiting.includes(to)) this.send(to);
  }

  stop(): void {
    this.isStopped = true;
    this.holding?.cancel();
  }

  private sendNext(): void {
    if (this.receiver !== undefined || this.isStopped) return;
    const to = this.waiting.shift();
    if (to === undefined) return;
    this.receiver = to;
    void this.sendTo(to).then(() => {
      this.receiver = undefined;
      this.sendNext();
    });
  }

  private async sendTo(to: MemberId): Promise<void> {
    const { raft, transport, backend, logger, disk, spoolDirectory, clock, logCut, wake } = this.parts;
    const path = `${spoolDirectory}/to-${to.toString(16)}`;
    const began = clock.now();
    let isWritten = false;
    try {
      await disk.makeDirectory(spoolDirectory);
      // What follows the state must still be in the log when it has arrived.
      this.hold(backend.applied.index);
      await this.flush();
      const { mark, bytes } = await backend.copyTo(path);
      isWritten = true;
      const { term } = raft.status();
      await transport.sendState(to, term, { ...mark, confState: this.configurations.at(mark.index), path });
      const tookMs = Math.round(clock.now() - began);
      logger.info('sent the state to a member', { to: to.toString(16), index: mark.index, bytes, tookMs });
      if (!this.isStopped) raft.snapshotSent(to, mark);
    } catch (error) {
      if (error instanceof AssertionError) this.parts.fail(error);
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn('the state could not be sent to a member; it is tried again', {
        to: to.toString(16),
        reason,
      });
      if (isLackOfSpace(error)) await new Promise<void>((resolve) => clock.after(noSpacePauseMs, resolve));
      if (!this.isStopped) raft.snapshotSent(to, undefined);
    }
    this.holding = clock.after(holdMs, () => logCut.release());
    if (isWritten) {
      await disk
        .remove(path)
        .catch((error: unknown) => this.failed('a sent state could not be removed', error));
    }
    if (!this.isStopped) wake();
  }

  /** @throws BackendError when what is applied cannot be flushed now because the disk is full. */
  private flush(): Promise<void> {
    const { backend, clock } = this.parts;
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const look = (): void => {
        const { noSpace } = backend.stats;
        if (noSpace !== undefined) return reject(new BackendError('no-space', noSpace));
        if (!this.isStopped) timer = clock.after(lookMs, look);
      };
      look();
      void backend.flush().then(() => {
        timer?.cancel();
        resolve();
      });
    });
  }

  private failed(what: string, error: unknown): void {
    if (isStorageFailure(error)) return this.parts.fail(error);
    this.parts.logger.warn(what, { reason: error instanceof Error ? error.message : String(error) });
  }

  private hold(index: number): void {
    this.holding?.cancel();
    this.parts.logCut.holdAfter(index);
  }
}
