import { type MvccStore } from '../mvcc/mvcc-store.js';
import { RowArena } from '../mvcc/row-arena.js';
import { assert } from '../platform/assert.js';
import { type ChangeBytes } from './change-bytes.js';
import { type ResponseWriter } from './response-writer.js';
import { encodeEvent, encodeWithPrevious, SharedEvent } from './shared-event.js';
import { type WatchStream } from './watch-stream.js';
import { type Watcher } from './watcher.js';
import { type WatcherIndex } from './watcher-index.js';

/**
 * Brings changes to the watchers of an index: first all changes of a revision are matched, then each watcher that was
 * touched is sent one response.
 *
 * Invariants: `touched` holds each watcher with matched events that this delivery found, once, in the order in
 * which they were touched. Encoded events live in `arena` until none of them is needed any more.
 */
export class Delivery {
  /** Watchers that were not sent what they matched, because their stream holds back; `next` is where they go on. */
  readonly held: Watcher[] = [];
  /** Events sent, times watchers. */
  eventsSent = 0;
  private touched: Watcher[] = [];
  private kept: Watcher[] = [];
  private readonly streams: WatchStream[] = [];
  private readonly unresolved: SharedEvent[] = [];
  private readonly arena = new RowArena();
  /** Bytes of the responses that are owed, about. */
  pendingBytes = 0;
  pendingEvents = 0;

  constructor(private readonly writer: ResponseWriter) {}

  /** Finds the watchers of a change. */
  match(index: WatcherIndex, change: ChangeBytes): void {
    const { main, tombstone } = change;
    let event: SharedEvent | undefined = undefined;
    for (const group of index.match(change.key)) {
      const { watchers } = group;
      for (let at = 0; at < watchers.length; at++) {
        const watcher = watchers[at];
        if (watcher.next > main || (tombstone ? watcher.noDelete : watcher.noPut)) continue;
        event ??= this.encode(change);
        if (watcher.prevKv && !event.wantsPrevious) this.wantPrevious(event);
        if (watcher.matchedCount === 0) this.touched.push(watcher);
        watcher.match(event);
        this.pendingEvents++;
        this.pendingBytes += event.plain.length;
      }
    }
  }

  /** Reads the previous KeyValues that watchers want. Not from within a visit of the backend. */
  resolvePrevious(store: MvccStore): void {
    const { unresolved, arena } = this;
    for (const event of unresolved) {
      const { main, created, prevMain, prevSub } = event;
      // The version before is that at main - 1, which cannot be read any more when it was compacted.
      if (main - 1 < store.compactRevision) continue;
      if (!store.view.findBefore(main, created, prevMain, prevSub)) continue;
      const { bytes, keyValueStart, keyValueEnd } = store.view.row;
      event.withPrevious = encodeWithPrevious(arena, event.plain, bytes, keyValueStart, keyValueEnd);
    }
    unresolved.length = 0;
  }

  /**
   * Sends what was matched below revision `end`; what is at or above it stays. Watchers whose stream holds back are
   * put into `held` instead, with nothing left matched.
   * @param header The encoded header field of all responses.
   */
  send(end: number, header: Uint8Array): void {
    assert(this.unresolved.length === 0, 'previous values are read before sending');
    if (this.touched.length === 0) return;
    this.gather();
    const { streams, writer } = this;
    for (const stream of streams) {
      const { outbox, outboxCount } = stream;
      stream.outboxCount = 0;
      writer.begin(stream, outboxCount);
      for (let at = 0; at < outboxCount; at++) this.sendTo(outbox[at], end, header);
      writer.flush();
    }
    streams.length = 0;
    this.touched.length = 0;
    [this.touched, this.kept] = [this.kept, this.touched];
    if (this.touched.length === 0) {
      this.pendingBytes = 0;
      this.pendingEvents = 0;
      this.arena.reset();
    }
  }

  /** Forgets everything matched and not sent. */
  abandon(): void {
    for (const watcher of this.touched) watcher.dropMatched(watcher.matchedCount);
    this.touched.length = 0;
    this.unresolved.length = 0;
    this.pendingBytes = 0;
    this.pendingEvents = 0;
    this.arena.reset();
  }

  /** Sorts the touched watchers into the outboxes of their streams. */
  private gather(): void {
    for (const watcher of this.touched) {
      const { stream } = watcher;
      if (stream.outboxCount === 0) this.streams.push(stream);
      stream.outbox[stream.outboxCount++] = watcher;
    }
  }

  private sendTo(watcher: Watcher, end: number, header: Uint8Array): void {
    const { matched, matchedCount, stream } = watcher;
    if (watcher.isClosed) {
      watcher.dropMatched(matchedCount);
      return;
    }
    if (stream.isBlocked) {
      watcher.next = matched[0].main;
      watcher.dropMatched(matchedCount);
      this.held.push(watcher);
      return;
    }
    let count = matchedCount;
    while (count > 0 && matched[count - 1].main >= end) count--;
    if (count > 0) {
      this.writer.write(header, watcher, count);
      watcher.wasSent = true;
      this.eventsSent += count;
      watcher.dropMatched(count);
    }
    if (count < matchedCount) this.kept.push(watcher);
  }

  private encode(change: ChangeBytes): SharedEvent {
    const { main, tombstone, created, prevMain, prevSub, bytes, start, end } = change;
    const plain = encodeEvent(this.arena, main, tombstone, bytes, start, end);
    return new SharedEvent(main, created, prevMain, prevSub, plain);
  }

  private wantPrevious(event: SharedEvent): void {
    event.wantsPrevious = true;
    if (event.prevMain > 0) this.unresolved.push(event);
  }
}
