import { assert } from '../platform/assert.js';

/** What a queue orders. `dueAtMs` belongs to the owner while `place` is -1, else to the queue. */
export interface Queued {
  /** When to look at it, in monotonic milliseconds. */
  dueAtMs: number;
  /** Where it is in the queue, -1 when it is not in one. */
  place: number;
}

/**
 * A binary heap by due time whose members know their places, so that one can be moved or removed without a search.
 *
 * Invariants: no member is due before its parent, which is at `(place - 1) >> 1`; `members[m.place] === m`.
 */
export class LeaseQueue<T extends Queued> {
  private readonly members: T[] = [];

  get size(): number {
    return this.members.length;
  }

  /** The member that is due first. */
  peek(): T | undefined {
    return this.members[0];
  }

  add(member: T, dueAtMs: number): void {
    assert(member.place === -1, 'a member is in one queue at most');
    member.dueAtMs = dueAtMs;
    this.members.push(member);
    this.rise(member, this.members.length - 1);
  }

  /** Gives a member of the queue another due time. */
  move(member: T, dueAtMs: number): void {
    assert(this.members[member.place] === member, 'a member of this queue is moved');
    const isLater = dueAtMs > member.dueAtMs;
    member.dueAtMs = dueAtMs;
    if (isLater) this.sink(member, member.place);
    else this.rise(member, member.place);
  }

  remove(member: T): void {
    const { place } = member;
    assert(this.members[place] === member, 'a member of this queue is removed');
    member.place = -1;
    const last = this.members.pop();
    if (last === undefined || last === member) return;
    this.rise(last, place);
    this.sink(last, last.place);
  }

  clear(): void {
    for (const member of this.members) member.place = -1;
    this.members.length = 0;
  }

  private rise(member: T, from: number): void {
    const { members } = this;
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (members[above].dueAtMs <= member.dueAtMs) break;
      this.set(members[above], place);
      place = above;
    }
    this.set(member, place);
  }

  private sink(member: T, from: number): void {
    const { members } = this;
    let place = from;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= members.length) break;
      if (below + 1 < members.length && members[below + 1].dueAtMs < members[below].dueAtMs) below++;
      if (members[below].dueAtMs >= member.dueAtMs) break;
      this.set(members[below], place);
      place = below;
    }
    this.set(member, place);
  }

  private set(member: T, place: number): void {
    this.members[place] = member;
    member.place = place;
  }
}
