import { type Report } from '../report.js';

/** A time during which one worker held something, on the machine's monotonic clock. */
interface Tenure {
  readonly worker: string;
  readonly token: bigint;
  readonly from: number;
  to: number | undefined;
}

/** What was seen, for the summary at the end. */
export class Observations {
  /** Configuration values that arrived in a worker, counted once per worker and revision. */
  changesDelivered = 0;
  private readonly seen = new Map<string, Set<string>>();
  private readonly lockTenures: Tenure[] = [];
  private readonly leaderTenures: Tenure[] = [];
  private changeRevisions: string[] = [];

  /** A change was written at this revision: every worker is expected to see it. */
  changed(revision: bigint): void {
    this.changeRevisions.push(revision.toString());
  }

  take(worker: string, report: Report): void {
    if (report.kind === 'config') this.sawConfig(worker, report.revision);
    if (report.kind === 'lock' && report.state === 'held')
      begin(this.lockTenures, worker, report.token, report.at);
    if (report.kind === 'lock' && report.state === 'released') end(this.lockTenures, worker, report.at);
    if (report.kind === 'leader' && report.state === 'elected')
      begin(this.leaderTenures, worker, report.term, report.at);
    if (report.kind === 'leader' && report.state === 'deposed') end(this.leaderTenures, worker, report.at);
  }

  /** The worker was killed: whatever it held, it does nothing more from now on. */
  killed(worker: string, at: number): void {
    end(this.lockTenures, worker, at);
    end(this.leaderTenures, worker, at);
  }

  get lockHandOvers(): number {
    return Math.max(0, this.lockTenures.length - 1);
  }

  get elections(): number {
    return this.leaderTenures.length;
  }

  /** Moments at which two workers held the lock, or led, at once; and tokens that did not grow. */
  get overlaps(): number {
    return countOverlaps(this.lockTenures) + countOverlaps(this.leaderTenures);
  }

  /** True when this worker saw every change that was written since it is there. */
  sawAll(worker: string, since: number): boolean {
    const seen = this.seen.get(worker) ?? new Set();
    return this.changeRevisions.slice(since).every((revision) => seen.has(revision));
  }

  get changesWritten(): number {
    return this.changeRevisions.length;
  }

  private sawConfig(worker: string, revision: string): void {
    const seen = this.seen.get(worker) ?? new Set<string>();
    this.seen.set(worker, seen);
    if (seen.has(revision)) return;
    seen.add(revision);
    this.changesDelivered++;
  }
}

function begin(tenures: Tenure[], worker: string, token: string, at: number): void {
  tenures.push({ worker, token: BigInt(token), from: at, to: undefined });
}

function end(tenures: Tenure[], worker: string, at: number): void {
  const open = tenures.findLast((tenure) => tenure.worker === worker && tenure.to === undefined);
  if (open !== undefined) open.to = at;
}

function countOverlaps(tenures: readonly Tenure[]): number {
  const ordered = [...tenures].sort((a, b) => a.from - b.from);
  let overlaps = 0;
  for (let at = 1; at < ordered.length; at++) {
    const before = ordered[at - 1];
    const tooEarly = before.to === undefined || before.to > ordered[at].from;
    if (tooEarly || before.token >= ordered[at].token) overlaps++;
  }
  return overlaps;
}
