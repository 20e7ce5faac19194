import { assert } from '../platform/assert.js';
import { type MemberId, NO_MEMBER } from './message.js';
import { type Raft } from './raft.js';
import { type ReadRejection } from './work.js';

/** Reads of one turn, asked for with one message. */
interface Forward {
  readonly id: number;
  readonly requests: readonly (bigint | number)[];
  remainingTicks: number;
}

/**
 * The reads that a follower asks its leader about. Every read ends with an index or with a rejection: when the leader
 * or the term changes, or when no answer came within an election timeout.
 *
 * Invariants: a request number is used once (see `Raft.nextReadRequest`), so that a late answer never confirms a later
 * read; `#forwards` is in the order of its deadlines.
 */
export class ReadForward {
  readonly #raft: Raft;
  #queue: (bigint | number)[] = [];
  #forwards: Forward[] = [];

  constructor(raft: Raft) {
    this.#raft = raft;
  }

  get isQueued(): boolean {
    return this.#queue.length > 0;
  }

  get size(): number {
    let size = this.#queue.length;
    for (const forward of this.#forwards) size += forward.requests.length;
    return size;
  }

  add(request: bigint | number): void {
    this.#queue.push(request);
  }

  flush(leader: MemberId): void {
    if (this.#queue.length === 0) return;
    assert(leader !== NO_MEMBER, 'reads are forwarded to a leader');
    const { id: from, term, outbox, config } = this.#raft;
    const id = this.#raft.nextReadRequest();
    const forward = { id, requests: this.#queue, remainingTicks: config.electionTicks };
    this.#queue = [];
    this.#forwards.push(forward);
    outbox.send({ kind: 'read-index', from, to: leader, term, request: id });
  }

  tick(): void {
    if (this.#forwards.length === 0) return;
    for (const forward of this.#forwards) forward.remainingTicks -= 1;
    while (this.#forwards.length > 0 && this.#forwards[0]!.remainingTicks <= 0) {
      this.#reject(this.#forwards.shift()!.requests, 'timeout');
    }
  }

  answered(id: number, index: number): void {
    const forward = this.#take(id);
    if (forward === undefined) return;
    for (const request of forward.requests) this.#raft.reads.push({ kind: 'index', request, index });
  }

  refused(id: number): void {
    const forward = this.#take(id);
    if (forward !== undefined) this.#reject(forward.requests, 'leader-changed');
  }

  rejectAll(): void {
    const forwards = this.#forwards;
    const queue = this.#queue;
    this.#forwards = [];
    this.#queue = [];
    for (const forward of forwards) this.#reject(forward.requests, 'leader-changed');
    this.#reject(queue, 'leader-changed');
  }

  #take(id: number): Forward | undefined {
    const at = this.#forwards.findIndex((forward) => forward.id === id);
    return at < 0 ? undefined : this.#forwards.splice(at, 1)[0];
  }

  #reject(requests: readonly (bigint | number)[], reason: ReadRejection): void {
    for (const request of requests) this.#raft.rejectRead(request, reason);
  }
}
