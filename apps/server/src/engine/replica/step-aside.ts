import type { Logger } from '../platform/logger.js';
import type { RawNode } from '../raft/raw-node.js';
import { heirOf } from './leadership-transfer.js';

export interface StepAsideParts {
  readonly raft: RawNode;
  readonly logger: Logger;
  /** A leader that cannot work for so long does not hold up the others. */
  readonly electionMs: number;
}

/**
 * Watches whether this member can do a leader's work in time: its log must become durable, and its ticks must come,
 * within an election timeout. A leader that cannot do so hands over, and steps down when that takes as long again, so
 * that a slow disk or a stalled process does not slow down the cluster.
 *
 * The age of the oldest write that is not durable is found by sampling: a batch is watched until it is durable, then the
 * newest one. Batches become durable in order, so nothing older is missed, and a write costs two stores.
 */
export class StepAside {
  private written = 0;
  private durable = 0;
  private watched = 0;
  private watchedAt = 0;
  private lastTickAt: number | undefined;
  /** Since when this leader tries to hand over, and its term. */
  private begun: { readonly at: number; readonly term: number } | undefined;

  constructor(private readonly parts: StepAsideParts) {}

  /** A batch was given to the disk. */
  writing(batch: number): void {
    this.written = batch;
  }

  /** It is durable. */
  wrote(batch: number): void {
    this.durable = batch;
  }

  /** At each tick, after everything that had arrived was handed to the core. */
  tick(nowMs: number): void {
    const { electionMs } = this.parts;
    const gap = nowMs - (this.lastTickAt ?? nowMs);
    this.lastTickAt = nowMs;
    if (this.durable >= this.watched) {
      this.watched = this.written;
      this.watchedAt = nowMs;
    }
    const isDiskStalled = this.durable < this.watched && nowMs - this.watchedAt >= electionMs;
    const reason = isDiskStalled ? 'disk' : gap > electionMs ? 'event loop' : undefined;
    if (reason === undefined && this.begun === undefined) return;
    this.advance(reason, nowMs);
  }

  private advance(reason: string | undefined, nowMs: number): void {
    const { raft, logger, electionMs } = this.parts;
    const { role, term, confState, id } = raft.status();
    const hasOthers = confState.voters.some((voter) => voter !== id);
    if (role !== 'leader' || !hasOthers || (this.begun !== undefined && this.begun.term !== term)) {
      this.begun = undefined;
      return;
    }
    if (this.begun === undefined) {
      const heir = heirOf(raft.status());
      logger.warn('this leader cannot work in time and steps aside', { stalled: reason });
      if (heir === undefined || !raft.transferLeadership(heir)) return raft.stepDown();
      this.begun = { at: nowMs, term };
      return;
    }
    if (nowMs - this.begun.at < electionMs) return;
    this.begun = undefined;
    // The transfer came to nothing. A disk that works again is no reason to go.
    if (reason !== undefined) raft.stepDown();
  }
}
