import { type etcdserverpb, mvccpb } from '@conclave/protocol';
import { keyRange, type Version } from '../model/history.js';
import { keyValueText, versionText } from '../model/texts.js';
import { Violation } from '../world/violation.js';
import { type CommittedLog } from './committed-log.js';

/** What a watch asks for. */
export interface WatchedRange {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly progress: boolean;
}

/**
 * One watch, over all its connections, against the committed log: every change of its range from its start on must come once, in
 * order, whole revisions at a time, and nothing else (W1 to W9, W11).
 */
export class WatchCheck {
  wasCanceled = false;
  /** Events that came. */
  events = 0;
  /** The first revision that was not delivered yet; undefined before a watch "from now" was created. */
  private next: number | undefined;
  private headerRevision = 0;
  private isCreated = false;
  private compactRevision = 0;
  /** The member's revision when the watch was asked for. */
  private askedAt = 0;

  /** @param start As in a request: 0 is from now on. */
  constructor(
    private readonly log: CommittedLog,
    readonly range: WatchedRange,
    start: number,
  ) {
    this.next = start === 0 ? undefined : start;
  }

  /** The start revision of the next connection, to a member whose store is at `current`. */
  resume(rule: (next: number, headerRevision: number) => number, current: number): number {
    this.isCreated = false;
    this.askedAt = current;
    if (this.next === undefined) return 0;
    return this.headerRevision === 0 ? this.next : rule(this.next, this.headerRevision);
  }

  /** The connection broke. Nothing of what was on its way counts. */
  interrupted(): void {
    this.isCreated = false;
  }

  take(response: etcdserverpb.WatchResponse): void {
    const { created, canceled, events } = response;
    const revision = Number(response.header?.revision ?? 0n);
    if (revision > this.log.model.revision) throw this.wrong('W11', `an answer is of revision ${revision}`);
    if (created) return this.created(response, revision);
    if (!this.isCreated) throw this.wrong('W8', 'an answer came before the watch was created');
    if (canceled) return this.canceled(response);
    if (revision < this.headerRevision) {
      throw this.wrong('W1', `revision ${revision} came after revision ${this.headerRevision}`);
    }
    this.headerRevision = revision;
    if (events.length > 0) this.changes(events);
    else this.progress(revision);
  }

  /** Everything up to `revision` was delivered, the member says (W6). */
  progress(revision: number): void {
    if (!this.isCreated || this.next === undefined) return;
    if (revision > this.log.model.revision) throw this.wrong('W11', `progress to revision ${revision}`);
    if (revision < this.next - 1) throw this.wrong('W6', `progress back to revision ${revision}`);
    const missing = this.expected(this.next, revision);
    if (missing.length > 0)
      throw this.wrong('W6', `progress to ${revision} came before "${textOf(missing[0])}"`);
    this.next = revision + 1;
  }

  /** The watch that goes on where history begins. */
  successor(): WatchCheck {
    return new WatchCheck(this.log, this.range, this.compactRevision);
  }

  /** Everything that happened has come (W10). */
  checkCurrent(): void {
    if (this.next === undefined) throw this.wrong('W10', 'the watch was never created');
    const missing = this.expected(this.next, this.log.model.revision);
    if (missing.length > 0) throw this.wrong('W10', `"${textOf(missing[0])}" never came`);
  }

  private created(response: etcdserverpb.WatchResponse, revision: number): void {
    if (response.canceled) throw this.wrong('W8', `the watch was refused: ${response.cancel_reason}`);
    if (this.isCreated) throw this.wrong('W8', 'the watch was created twice');
    if (revision < this.askedAt)
      throw this.wrong('W8', `created at ${revision}, asked for at ${this.askedAt}`);
    this.isCreated = true;
    this.headerRevision = revision;
    this.next ??= revision + 1;
  }

  private canceled(response: etcdserverpb.WatchResponse): void {
    const { compacted } = this.log.model;
    const { next } = this;
    this.wasCanceled = true;
    this.compactRevision = Number(response.compact_revision);
    if (this.compactRevision === 0)
      throw this.wrong('W9', `the watch was canceled: ${response.cancel_reason}`);
    if (this.compactRevision > compacted || next === undefined || next >= this.compactRevision) {
      throw this.wrong(
        'W9',
        `canceled for a compaction to ${this.compactRevision}; the last one is ${compacted}`,
      );
    }
  }

  private changes(events: readonly mvccpb.Event[]): void {
    const last = Number(events.at(-1)!.kv?.mod_revision ?? 0n);
    const first = Number(events[0].kv?.mod_revision ?? 0n);
    if (this.next === undefined || first < this.next) {
      throw this.wrong('W2', `an event of revision ${first} came, ${this.next} was next`);
    }
    const expected = this.expected(this.next, last);
    for (let at = 0; at < Math.max(events.length, expected.length); at++) {
      this.compare(events[at], expected[at]);
    }
    this.events += events.length;
    this.next = last + 1;
  }

  private compare(event: mvccpb.Event | undefined, change: Version | undefined): void {
    if (change === undefined) throw this.wrong('W11', `event "${eventText(event!)}" never happened`);
    const expected = textOf(change);
    if (event === undefined) throw this.wrong('W3', `"${expected}" is missing`);
    const text = eventText(event);
    if (text !== expected) throw this.wrong('W3', `"${text}" came where "${expected}" was next`);
    this.comparePrevious(event, change);
  }

  /** The value before is there when it was asked for, there was one, and it is not compacted away. */
  private comparePrevious(event: mvccpb.Event, change: Version): void {
    const before = this.range.prevKv ? this.log.model.history.at(change.key, change.mod - 1) : undefined;
    const expected = before === undefined ? undefined : versionText(before);
    const text = event.prev_kv === undefined ? undefined : keyValueText(event.prev_kv);
    const mayBeGone = text === undefined && this.log.model.compacted >= change.mod;
    if (text === expected || mayBeGone) return;
    throw this.wrong('W7', `the value before "${textOf(change)}" is "${text}" instead of "${expected}"`);
  }

  private expected(first: number, last: number): Version[] {
    const { key, rangeEnd, noPut, noDelete } = this.range;
    const changes = this.log.model.history.between(keyRange(key, rangeEnd), first, last);
    return changes.filter(({ deleted }) => (deleted ? !noDelete : !noPut));
  }

  private wrong(property: string, detail: string): Violation {
    const range = `${this.range.key.toString('latin1')}${this.range.rangeEnd.length > 0 ? '…' : ''}`;
    return new Violation(property, `watch of ${range}, next revision ${this.next}: ${detail}`);
  }
}

function textOf(change: Version): string {
  return `${change.deleted ? 'DELETE' : 'PUT'} ${versionText(change)}`;
}

function eventText(event: mvccpb.Event): string {
  const kv = event.kv === undefined ? 'nothing' : keyValueText(event.kv);
  return `${event.type === mvccpb.Event_EventType.DELETE ? 'DELETE' : 'PUT'} ${kv}`;
}
