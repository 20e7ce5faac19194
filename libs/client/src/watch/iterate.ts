import { Buffer } from 'node:buffer';
import { type Observable } from 'rxjs';
import { InvalidArgumentError } from '../errors.js';
import { type BatchCause, type KeyChange, type RevisionBatch } from './revision-batch.js';
import { type Backlog, pulled } from './pulled.js';

/**
 * A batch for a consumer that pulls. With the cause `conflated` it stands for several that did not fit: the newest change of each
 * key, with the oldest `prev`; revisions between are not told, the last state of every key is. A replaced store among them keeps
 * the cause `store-replaced`.
 */
export interface IteratedBatch extends Omit<RevisionBatch, 'cause'> {
  readonly cause: BatchCause | 'conflated';
  /** How many batches it stands for. */
  readonly batches: number;
}

/** @throws InvalidArgumentError for a mark below 1. */
export function iterateBatches(
  batches$: Observable<RevisionBatch>,
  highWaterMark: number,
): AsyncIterable<IteratedBatch> {
  if (!Number.isSafeInteger(highWaterMark) || highWaterMark < 1) {
    throw new InvalidArgumentError(`highWaterMark: ${highWaterMark} is no whole number of 1 or more`);
  }
  return pulled(batches$, () => new BatchBacklog(highWaterMark));
}

/**
 * Invariants: never more than `most` batches wait; while `conflation` is set, none does, and whatever comes is put into it. So what
 * waits is bounded by the batches that fit and the keys that exist.
 */
class BatchBacklog implements Backlog<RevisionBatch, IteratedBatch> {
  private waiting: RevisionBatch[] = [];
  private conflation: Conflation | undefined;

  constructor(private readonly most: number) {}

  push(batch: RevisionBatch): void {
    if (this.conflation === undefined && this.waiting.length < this.most) {
      this.waiting.push(batch);
      return;
    }
    this.conflation ??= new Conflation();
    for (const waiting of this.waiting) this.conflation.add(waiting);
    this.waiting = [];
    this.conflation.add(batch);
  }

  take(): IteratedBatch | undefined {
    const { conflation } = this;
    this.conflation = undefined;
    if (conflation !== undefined) return conflation.batch();
    const first = this.waiting.shift();
    return first && { ...first, batches: 1 };
  }
}

/** Several batches as one. */
class Conflation {
  /** By the bytes of the key, one character each, in the order of the newest change. */
  private readonly changes = new Map<string, KeyChange>();
  private revision = 0n;
  private batches = 0;
  private complete = false;
  private isReplaced = false;

  add(batch: RevisionBatch): void {
    // What a complete batch does not name does not exist: nothing from before it counts.
    if (batch.complete) this.changes.clear();
    this.complete ||= batch.complete;
    this.isReplaced ||= batch.cause === 'store-replaced';
    this.revision = batch.revision;
    this.batches += 1;
    for (const change of batch.changes) {
      const { keyBytes: bytes } = change;
      const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
      const before = this.changes.get(name);
      this.changes.delete(name);
      this.changes.set(name, before === undefined ? change : combined(before, change));
    }
  }

  batch(): IteratedBatch {
    const { revision, complete, batches } = this;
    const cause = this.isReplaced ? 'store-replaced' : 'conflated';
    return { revision, cause, complete, batches, changes: [...this.changes.values()] };
  }
}

/** Two changes of one key as one: the value before is that before the first. */
function combined(first: KeyChange, second: KeyChange): KeyChange {
  const { prev: _between, ...rest } = second;
  const prev = first.prev === undefined ? {} : { prev: first.prev };
  if (rest.type === 'delete') return { ...rest, ...prev };
  const created = rest.created || first.type === 'delete' || first.created;
  return { ...rest, ...prev, created };
}
