import type { ApplyQueue } from './apply-queue.js';
import type { Reads } from './reads.js';
import type { Submissions } from './submissions.js';

/** What a replica has to do, for metrics. */
export class ReplicaLoad {
  constructor(
    private readonly submissions: Submissions,
    private readonly reads: Reads,
    private readonly queue: ApplyQueue,
  ) {}

  get pendingProposals(): number {
    return this.submissions.count;
  }

  get failedProposals(): number {
    return this.submissions.failed;
  }

  /** Bytes of commands that are proposed and not applied yet. */
  get proposalBytes(): number {
    return this.submissions.bytes;
  }

  get pendingReads(): number {
    return this.reads.count;
  }

  get readCounts(): Readonly<Reads['counts']> {
    return this.reads.counts;
  }

  /** Times that applying took 100 ms or more in one go. */
  get slowApplies(): number {
    return this.queue.slowSlices;
  }

  /** Entries that are committed and wait to be applied. */
  get applyBacklog(): number {
    return this.queue.size;
  }
}
