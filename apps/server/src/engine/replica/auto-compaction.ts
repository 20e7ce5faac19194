import { etcdserverpb } from '@conclave/protocol';
import { CommandKind } from '../apply/command.js';
import type { MvccStore } from '../mvcc/mvcc-store.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { Replica } from './replica.js';

/** `revision`: keep that many revisions. `periodic`: keep the history of that many milliseconds. 0 keeps everything. */
export interface AutoCompactionOptions {
  readonly mode: 'periodic' | 'revision';
  readonly retention: number;
}

const revisionIntervalMs = 5 * 60_000;
const hourMs = 3_600_000;

/**
 * Compacts by itself while this member leads (etcd operations guide, "History compaction"). In periodic mode the
 * revision is noted ten times per retention (per hour when that is shorter), and compacted to what it was one
 * retention ago.
 */
export class AutoCompaction {
  private timer: Timer | undefined;
  private leads = false;
  private notes: { readonly at: number; readonly revision: number }[] = [];

  constructor(
    private readonly parts: {
      readonly replica: Replica;
      readonly store: MvccStore;
      readonly clock: Clock;
      readonly logger: Logger;
    },
    private readonly options: AutoCompactionOptions,
  ) {}

  start(): void {
    const { mode, retention } = this.options;
    if (retention <= 0) return;
    const interval = mode === 'revision' ? revisionIntervalMs : Math.max(1, Math.min(retention, hourMs) / 10);
    this.timer = this.parts.clock.after(interval, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  leadershipChanged(term: number | undefined): void {
    this.leads = term !== undefined;
  }

  private look(): void {
    const { store } = this.parts;
    const revision =
      this.options.mode === 'revision'
        ? store.currentRevision - this.options.retention
        : this.revisionBefore();
    if (!this.leads || revision === undefined || revision <= Math.max(0, store.compactRevision)) return;
    this.compact(revision);
  }

  /** What the revision was one retention ago; undefined while that is not known. */
  private revisionBefore(): number | undefined {
    const now = this.parts.clock.now();
    this.notes.push({ at: now, revision: this.parts.store.currentRevision });
    let known: number | undefined;
    while (this.notes.length > 0 && this.notes[0].at <= now - this.options.retention)
      known = this.notes.shift()!.revision;
    return known;
  }

  private compact(revision: number): void {
    const { replica, logger } = this.parts;
    const request = etcdserverpb.CompactionRequest.encode({
      revision: BigInt(revision),
      physical: false,
    }).finish();
    replica.propose(CommandKind.Compact, request, (error) => {
      if (error === undefined) logger.info('compacted automatically', { revision });
      else
        logger.warn('automatic compaction failed, it is tried again later', {
          revision,
          reason: error.message,
        });
    });
  }
}
