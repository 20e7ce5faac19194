import { ProtocolError } from '@conclave/protocol';

/** Called exactly once: without an error when local state is at least as new as the read's start. */
export type ReadDone = (error: ProtocolError | undefined) => void;

/** A round that gave no answer after this time is asked for again, as etcd does. */
const retryAfterMs = 500;

interface ReadBatch {
  readonly deadline: number;
  readonly reads: ReadDone[];
  /** When a round was asked for last. */
  askedAt: number;
  /** Rounds that were asked for and not answered. */
  rounds: number;
  state: 'waiting' | 'confirmed' | 'finished';
}

/** What became of reads since the start, for metrics. */
export interface ReadCounts {
  /** Rounds that took so long that they were asked for again. */
  slow: number;
  /** Reads that were given up. */
  failed: number;
}

/**
 * Linearizable reads that wait: first for a confirmed read index, all of one turn as one batch (Raft thesis 6.4), then
 * until that index is applied here. A round that was refused or lost is asked for again under a new number; whichever
 * round of a batch is answered first counts, since all of them began after its reads.
 *
 * Invariants: a read joins only a batch that is not asked for yet, so its index is at least every index that was
 * committed before the read came; `rounds` of a batch are those in `asked` that lead to it.
 */
export class Reads {
  readonly counts: ReadCounts = { slow: 0, failed: 0 };
  private gathering: ReadBatch | undefined;
  /** Batches without a confirmed index, oldest first. */
  private readonly waiting = new Set<ReadBatch>();
  /** By request number. */
  private readonly asked = new Map<number, ReadBatch>();
  /** Ascending by index. */
  private readonly confirmed: { readonly index: number; readonly batch: ReadBatch }[] = [];
  private sequence = 0;

  get count(): number {
    let count = this.gathering?.reads.length ?? 0;
    for (const batch of this.waiting) count += batch.reads.length;
    for (const { batch } of this.confirmed) count += batch.reads.length;
    return count;
  }

  get isGathering(): boolean {
    return this.gathering !== undefined;
  }

  add(deadline: number, done: ReadDone): void {
    this.gathering ??= { deadline, reads: [], askedAt: 0, rounds: 0, state: 'waiting' };
    this.gathering.reads.push(done);
  }

  /** Closes the batch being gathered and names it; undefined when nobody waits. Names are never used twice. */
  takeRequest(nowMs: number): number | undefined {
    const batch = this.gathering;
    if (batch === undefined) return undefined;
    this.gathering = undefined;
    this.waiting.add(batch);
    return this.ask(batch, nowMs);
  }

  /**
   * New numbers for batches whose round is lost or overdue; with `leaderIsNew` for all whose rounds were refused, without
   * waiting.
   */
  takeRetries(nowMs: number, leaderIsNew: boolean): number[] {
    const requests: number[] = [];
    for (const batch of this.waiting) {
      const isOverdue = nowMs - batch.askedAt >= retryAfterMs;
      if (!isOverdue && !(leaderIsNew && batch.rounds === 0)) continue;
      if (isOverdue && batch.rounds > 0) this.counts.slow++;
      requests.push(this.ask(batch, nowMs));
    }
    return requests;
  }

  confirm(request: number, index: number, applied: number): void {
    const batch = this.takeAsked(request);
    if (batch?.state !== 'waiting') return;
    this.waiting.delete(batch);
    batch.state = 'confirmed';
    if (index <= applied) return finish(batch, undefined);
    let at = this.confirmed.length;
    while (at > 0 && this.confirmed[at - 1].index > index) at--;
    this.confirmed.splice(at, 0, { index, batch });
  }

  /** The round gave nothing: nobody leads, the leader changed, or the question was lost. It is asked for again. */
  reject(request: number): void {
    this.takeAsked(request);
  }

  applied(index: number): void {
    while (this.confirmed.length > 0 && this.confirmed[0].index <= index) {
      finish(this.confirmed.shift()!.batch, undefined);
    }
  }

  expire(nowMs: number): void {
    for (const batch of this.waiting) {
      if (batch.deadline > nowMs) continue;
      this.waiting.delete(batch);
      this.fail(batch, ProtocolError.of('Timeout'));
    }
    for (let at = 0; at < this.confirmed.length;) {
      const { batch } = this.confirmed[at];
      if (batch.deadline > nowMs) at++;
      else {
        this.confirmed.splice(at, 1);
        this.fail(batch, ProtocolError.of('TimeoutWaitAppliedIndex'));
      }
    }
  }

  failAll(error: ProtocolError): void {
    const batches = [...this.waiting, ...this.confirmed.map(({ batch }) => batch)];
    if (this.gathering !== undefined) batches.push(this.gathering);
    this.gathering = undefined;
    this.waiting.clear();
    this.confirmed.length = 0;
    for (const batch of batches) this.fail(batch, error);
  }

  private ask(batch: ReadBatch, nowMs: number): number {
    const request = ++this.sequence;
    batch.askedAt = nowMs;
    batch.rounds++;
    this.asked.set(request, batch);
    return request;
  }

  private takeAsked(request: number): ReadBatch | undefined {
    const batch = this.asked.get(request);
    if (batch === undefined) return undefined;
    this.asked.delete(request);
    batch.rounds--;
    return batch;
  }

  private fail(batch: ReadBatch, error: ProtocolError): void {
    this.counts.failed += batch.reads.length;
    finish(batch, error);
  }
}

function finish(batch: ReadBatch, error: ProtocolError | undefined): void {
  batch.state = 'finished';
  for (const done of batch.reads) done(error);
}
