import { ProtocolError } from '@conclave/protocol';

/** Called exactly once: without an error when local state is at least as new as the read's start. */
export type ReadDone = (error: ProtocolError | undefined) => void;

interface ReadBatch {
  readonly deadline: number;
  readonly reads: ReadDone[];
}

/**
 * Linearizable reads that wait: first for a confirmed read index, all of one turn as one batch (Raft thesis 6.4), then
 * until that index is applied here.
 *
 * Invariant: a read joins only a batch that is not asked for yet, so its index is at least every index that was
 * committed before the read came.
 */
export class Reads {
  private gathering: ReadBatch | undefined;
  private readonly asked = new Map<number, ReadBatch>();
  /** Confirmed, ascending by index. */
  private readonly confirmed: { readonly index: number; readonly batch: ReadBatch }[] = [];
  private sequence = 0;

  get count(): number {
    let count = this.gathering?.reads.length ?? 0;
    for (const batch of this.asked.values()) count += batch.reads.length;
    for (const { batch } of this.confirmed) count += batch.reads.length;
    return count;
  }

  add(deadline: number, done: ReadDone): void {
    this.gathering ??= { deadline, reads: [] };
    this.gathering.reads.push(done);
  }

  /** Closes the batch being gathered and names it; undefined when nobody waits. Names are never used twice. */
  takeRequest(): number | undefined {
    if (this.gathering === undefined) return undefined;
    const request = ++this.sequence;
    this.asked.set(request, this.gathering);
    this.gathering = undefined;
    return request;
  }

  confirm(request: number, index: number, applied: number): void {
    const batch = this.asked.get(request);
    if (batch === undefined) return;
    this.asked.delete(request);
    if (index <= applied) finish(batch, undefined);
    else this.confirmed.push({ index, batch });
  }

  reject(request: number, error: ProtocolError): void {
    const batch = this.asked.get(request);
    if (batch === undefined) return;
    this.asked.delete(request);
    finish(batch, error);
  }

  applied(index: number): void {
    while (this.confirmed.length > 0 && this.confirmed[0].index <= index) {
      finish(this.confirmed.shift()!.batch, undefined);
    }
  }

  expire(nowMs: number): void {
    for (const [request, batch] of this.asked) {
      if (batch.deadline > nowMs) continue;
      this.asked.delete(request);
      finish(batch, ProtocolError.of('Timeout'));
    }
    while (this.confirmed.length > 0 && this.confirmed[0].batch.deadline <= nowMs) {
      finish(this.confirmed.shift()!.batch, ProtocolError.of('TimeoutWaitAppliedIndex'));
    }
  }

  failAll(error: ProtocolError): void {
    const batches = [...this.asked.values(), ...this.confirmed.map(({ batch }) => batch)];
    if (this.gathering !== undefined) batches.push(this.gathering);
    this.gathering = undefined;
    this.asked.clear();
    this.confirmed.length = 0;
    for (const batch of batches) finish(batch, error);
  }
}

function finish(batch: ReadBatch, error: ProtocolError | undefined): void {
  for (const done of batch.reads) done(error);
}
