import { assert } from '../../platform/assert.js';
import { type MemberId } from '../message.js';
import { type Inflights } from './inflights.js';

/**
 * - `probe`: where the logs agree is not known; one append at a time looks for it.
 * - `replicate`: it is known; appends follow each other without waiting, within the window.
 * - `snapshot`: what the member needs is no longer in the leader's log; no append is sent until the host has brought
 *   it a state, or until the member got on by another way.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/**
 * What the leader knows of one member's log, in one term.
 *
 * Invariants: 0 <= match < next; in `probe` the window is empty; in `replicate` everything in (match, next) is on the
 * way; `match` never decreases, because a member acknowledges only what it cannot lose.
 */
export class Progress {
  readonly member: MemberId;
  isLearner: boolean;
  readonly inflights: Inflights;
  state: ProgressState = 'probe';
  match = 0;
  next: number;
  /** The member said that it cannot begin from the log. */
  needsState = false;
  /** The host was asked for a state and has not said how that ended; it is not asked again before. */
  isStateUnderWay = false;
  /** In `probe`: an append is on the way; the next one waits for its answer or for a heartbeat's. */
  probeSent = false;
  /** In `replicate`: no answer moved `match` between two heartbeats, so the last append may be lost: ask again. */
  verify = false;
  /** Heard from since the last check-quorum round. */
  recentActive = false;
  /** The highest commit index that an append carried to the member. */
  sentCommit = 0;
  /** The highest read round that the member has confirmed in this term. */
  readAcknowledged = 0;
  #matchAtHeartbeat = -1;

  constructor(member: MemberId, isLearner: boolean, next: number, inflights: Inflights) {
    assert(next >= 1, 'the log begins at index 1');
    this.member = member;
    this.isLearner = isLearner;
    this.next = next;
    this.inflights = inflights;
  }

  isPaused(): boolean {
    switch (this.state) {
      case 'probe':
        return this.probeSent;
      case 'replicate':
        return this.inflights.isFull();
      case 'snapshot':
        return true;
    }
  }

  /** `reached`: up to here the member got by a state that was brought to it, as far as is known. */
  becomeProbe(reached = 0): void {
    this.next = Math.max(this.match, reached) + 1;
    this.state = 'probe';
    this.probeSent = false;
    this.verify = false;
    this.inflights.clear();
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.state = 'replicate';
    this.next = this.match + 1;
    this.probeSent = false;
    this.verify = false;
    this.inflights.clear();
  }

  /** Returns whether the host is to be asked for a state. */
  becomeSnapshot(): boolean {
    this.state = 'snapshot';
    this.needsState = false;
    this.probeSent = false;
    this.verify = false;
    this.inflights.clear();
    const isNews = !this.isStateUnderWay;
    this.isStateUnderWay = true;
    return isNews;
  }

  /**
   * The host is done: the member got a state up to `index`, or none (0). Whether that took effect is not known, the
   * report of it can be lost: the next answer to a heartbeat starts the search for where the logs agree.
   */
  snapshotSent(index: number): void {
    this.isStateUnderWay = false;
    if (this.state !== 'snapshot') return;
    this.becomeProbe(index);
    this.probeSent = true;
  }

  /** An append of `bytes` that ends at `lastIndex` (`next - 1` when it is empty) left with this commit index. */
  sent(lastIndex: number, bytes: number, commit: number): void {
    assert(lastIndex >= this.next - 1, 'appends are sent forward');
    if (this.state === 'replicate') {
      if (lastIndex >= this.next) this.inflights.add(lastIndex, bytes);
      this.next = lastIndex + 1;
    } else {
      this.probeSent = true;
    }
    this.verify = false;
    this.sentCommit = Math.max(this.sentCommit, commit);
  }

  /** The member holds everything up to `index`; `base` is where the leader's log begins. Returns true when that is news. */
  acknowledged(index: number, base: number): boolean {
    const isNews = index > this.match;
    if (isNews) {
      this.match = index;
      this.next = Math.max(this.next, index + 1);
    }
    switch (this.state) {
      case 'probe':
        if (isNews || index === this.match) this.becomeReplicate();
        break;
      case 'replicate':
        this.inflights.freeUpTo(index);
        break;
      case 'snapshot':
        if (isNews && this.match >= base) this.becomeReplicate();
        break;
    }
    return isNews;
  }

  /**
   * The member lacks the leader's entry at `previousIndex`; the logs can agree at `candidate` at the highest. Returns
   * false when the rejection answers an older question than the last.
   */
  rejected(previousIndex: number, candidate: number): boolean {
    if (this.state === 'replicate') {
      if (previousIndex <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.state === 'snapshot' || this.next - 1 !== previousIndex) return false;
    this.next = Math.max(Math.min(previousIndex, candidate + 1), this.match + 1);
    this.probeSent = false;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    return true;
  }

  /** A heartbeat was answered: what had to wait for a sign of life goes on, and a silent tail is asked for again. */
  heard(lastIndex: number): void {
    this.probeSent = false;
    this.verify =
      this.state === 'replicate' && this.match < lastIndex && this.match === this.#matchAtHeartbeat;
    this.#matchAtHeartbeat = this.match;
  }
}
