import { type RangeBounds } from '../mvcc/range-bounds.js';
import { varint64Size, writeVarint64 } from '../mvcc/varint.js';
import { type SharedEvent } from './shared-event.js';
import { type WatchStream } from './watch-stream.js';
import { type WatcherGroup } from './watcher-index.js';

/** What a watch was created with. */
export interface WatcherOptions {
  readonly id: bigint;
  readonly bounds: RangeBounds;
  /** As requested: 0 is "from now on". */
  readonly startRevision: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
}

const TAG_WATCH_ID = 0x10;

/**
 * One watch of one stream.
 *
 * Invariants: every matching event below `next` was sent, none from `next` on. A synced watcher is in the hub's index
 * and is sent what comes inline; an unsynced one is parked, queued for catching up, or in a group of those that catch
 * up just now. `matched` holds the events that were found and not yet sent.
 */
export class Watcher {
  readonly bounds: RangeBounds;
  readonly startRevision: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  readonly id: bigint;
  /** The field `WatchResponse.watch_id`, encoded; empty for id 0. */
  readonly idField: Uint8Array;
  isSynced = false;
  isClosed = false;
  isParked = false;
  /** Something was sent since the last progress tick. */
  wasSent = false;
  /** The group of an index that it is in, and where. */
  group: WatcherGroup | undefined = undefined;
  slot = 0;
  /** The first `matchedCount` are valid: an array that keeps its length need not be allocated for each event. */
  readonly matched: SharedEvent[] = [];
  matchedCount = 0;

  constructor(
    readonly stream: WatchStream,
    options: WatcherOptions,
    /** The first revision whose events were not sent yet. */
    public next: number,
  ) {
    this.id = options.id;
    this.bounds = options.bounds;
    this.startRevision = options.startRevision;
    this.noPut = options.noPut;
    this.noDelete = options.noDelete;
    this.prevKv = options.prevKv;
    this.fragment = options.fragment;
    this.progressNotify = options.progressNotify;
    this.idField = watchIdField(options.id);
  }

  match(event: SharedEvent): void {
    this.matched[this.matchedCount++] = event;
  }

  /** Forgets the first `count` matched events. */
  dropMatched(count: number): void {
    const { matched } = this;
    this.matchedCount -= count;
    if (this.matchedCount > 0) matched.splice(0, count);
    else if (matched.length > MATCHED_KEPT) matched.length = 0;
  }
}

/** Above this `matched` does not keep its length. */
const MATCHED_KEPT = 32;

/** Small ids share their field, so that the same id is recognised by identity. */
const SMALL_IDS: readonly Uint8Array[] = Array.from({ length: 128 }, (_, id) => encodeIdField(BigInt(id)));

/** The field `WatchResponse.watch_id`. */
export function watchIdField(id: bigint): Uint8Array {
  return id >= 0n && id < 128n ? SMALL_IDS[Number(id)] : encodeIdField(id);
}

function encodeIdField(id: bigint): Uint8Array {
  if (id === 0n) return new Uint8Array(0);
  const field = new Uint8Array(1 + varint64Size(id));
  field[0] = TAG_WATCH_ID;
  writeVarint64(field, 1, id);
  return field;
}
