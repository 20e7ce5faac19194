import type { StateMachine } from '../apply/state-machine.js';
import type { Backend } from '../backend/backend.js';
import type { MvccStore } from '../mvcc/mvcc-store.js';
import type { Clock } from '../platform/clock.js';
import { doublingBuckets, type Histogram, type Meter } from '../platform/meter.js';

/** History rows that one slice looks at: at 0.3 to 0.4 µs a row far below the 5 ms that a request may be delayed. */
const defaultRowsPerSlice = 2_000;

/**
 * Does the work that a compaction leaves behind, slice by slice between turns, so that no request waits for it. The
 * store keeps its progress, so that it goes on after a restart.
 */
export class Compactor {
  /** Wall clock in seconds when the last work began; 0 since the start of the process. */
  lastAtSeconds = 0;
  private scheduled = false;
  private stopped = false;
  private waiting: (() => void)[] = [];
  /** When the work that is under way began; undefined while there is none. */
  private began: number | undefined;
  private readonly pauses: Histogram;
  private readonly totals: Histogram;

  constructor(
    private readonly store: MvccStore,
    private readonly machine: StateMachine,
    private readonly backend: Backend,
    private readonly clock: Clock,
    meter: Meter,
    private readonly rowsPerSlice = defaultRowsPerSlice,
  ) {
    this.pauses = meter.histogram(
      'etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds',
      'Bucketed histogram of db compaction pause duration.',
      doublingBuckets(1, 13),
    );
    this.totals = meter.histogram(
      'etcd_debugging_mvcc_db_compaction_total_duration_milliseconds',
      'Bucketed histogram of db compaction total duration.',
      doublingBuckets(100, 14),
    );
  }

  /** Goes on while there is something to do; call it after a compaction was applied, and at start. */
  wake(): void {
    if (this.scheduled || this.stopped || !this.store.compactionPending) return;
    this.scheduled = true;
    this.clock.defer(() => {
      this.scheduled = false;
      if (this.stopped) return;
      const from = this.clock.now();
      if (this.began === undefined) this.lastAtSeconds = Math.floor(this.clock.wall() / 1_000);
      this.began ??= from;
      this.machine.compactSlice(this.rowsPerSlice);
      this.pauses.observe(this.clock.now() - from);
      if (this.store.compactionPending) this.wake();
      else this.finished();
    });
  }

  /** Calls back when the compacted history is gone and that is durable. */
  whenDone(callback: () => void): void {
    this.waiting.push(callback);
    if (this.store.compactionPending) this.wake();
    else this.finished();
  }

  stop(): void {
    this.stopped = true;
  }

  private finished(): void {
    if (this.began !== undefined) this.totals.observe(this.clock.now() - this.began);
    this.began = undefined;
    const waiting = this.waiting;
    this.waiting = [];
    if (waiting.length === 0) return;
    void this.backend.flush().then(() => {
      for (const callback of waiting) callback();
    });
  }
}
