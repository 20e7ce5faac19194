import type { AppliedMark } from '../backend/backend.js';
import type { Logger } from '../platform/logger.js';
import type { RawNode } from '../raft/raw-node.js';
import type { Wal } from '../wal/wal.js';

/** Applied entries are dropped from memory in batches of so many entries, or of so many bytes of commands. */
const forgetEvery = 1_024;
const forgetBytes = 1 << 20;

/**
 * Shortens the log, in memory and on disk: what the store has flushed is needed only by members that lag. Both keep the
 * same entries for them, as many as the core's configuration says, and while a state is on its way to a member all that
 * follow it, because it needs them next.
 *
 * Invariant: the mark on disk never goes back.
 */
export class LogCut {
  private forgotten = 0;
  private appliedBytes = 0;
  private marked: number;
  private heldAfter = Number.POSITIVE_INFINITY;

  constructor(
    private readonly raft: RawNode,
    private readonly wal: Wal,
    private readonly logger: Logger,
  ) {
    this.marked = raft.logStart.index;
  }

  /** Drops from memory what nobody needs, before it grows old enough to cost the collector. @param bytes of commands. */
  applied(index: number, bytes: number): void {
    this.appliedBytes += bytes;
    if (index - this.forgotten < forgetEvery && this.appliedBytes < forgetBytes) return;
    this.forgotten = index;
    this.appliedBytes = 0;
    this.raft.compact(Math.min(index, this.heldAfter));
  }

  /** The store is durable up to the mark. */
  flushed(mark: AppliedMark): void {
    this.raft.compact(Math.min(mark.index, this.heldAfter));
    const { logStart } = this.raft;
    const { index, term } = logStart.index < mark.index ? logStart : mark;
    if (index <= this.marked) return;
    this.marked = index;
    this.wal.saveMark({ index, term, confState: this.raft.status().confState }, () => {
      this.wal.cut(index);
      this.logger.debug('log cut at flush', { index, term });
    });
  }

  /** What the log holds up to the mark is not to be trusted, and the store holds it: calls back when it is gone for good. */
  forget({ index, term }: AppliedMark, done: () => void): void {
    this.raft.forget(index);
    this.marked = index;
    this.wal.saveMark({ index, term, confState: this.raft.status().confState }, () => {
      this.wal.cut(index);
      done();
    });
  }

  /** Entries after `index` are needed by somebody until `release`. */
  holdAfter(index: number): void {
    this.heldAfter = index;
  }

  release(): void {
    this.heldAfter = Number.POSITIVE_INFINITY;
  }

  /** The log begins anew after `index`. */
  restarted(index: number): void {
    this.marked = index;
    this.forgotten = index;
  }
}
