import { etcdserverpb, GrpcStatus, ProtocolError } from '@conclave/protocol';
import { isEmptyRange, type RangeBounds, rangeBounds } from '../mvcc/range-bounds.js';
import { assert } from '../platform/assert.js';
import { type Timer } from '../platform/clock.js';
import { type ControlResponse } from './response-bytes.js';
import { type WatchHub } from './watch-hub.js';
import { type ChunkLender, type WatchSink } from './watch-sink.js';
import { Watcher } from './watcher.js';

/**
 * Decides at creation whether a caller may watch what it asks for; gets the request as it came, with the raw
 * range_end (`"\0"` is a range, GHSA-xg4h-6gfc-h4m8). Returns the refusal, or undefined.
 */
export type WatchAuthorizer = (request: etcdserverpb.WatchCreateRequest) => ProtocolError | undefined;

const INVALID_ID = -1n;
/** So many ids of compacted watches are remembered; a client that never cancels them must not fill the memory. */
const COMPACTED_IDS_MAX = 1_000;
const EMPTY_RANGE = 'mvcc: watcher range is empty';
const DUPLICATE_ID = 'mvcc: duplicate watch ID provided on the WatchStream';

/**
 * One Watch call: its watchers by id, and the state of its sink.
 *
 * Invariants: `unsynced` is the number of open watchers that are not synced. While `isBlocked` no events are sent;
 * watchers that miss some are unsynced, and `parked` until the sink drains.
 */
export class WatchStream {
  readonly watchers = new Map<bigint, Watcher>();
  unsynced = 0;
  isBlocked = false;
  isClosed = false;
  /** The sink takes framed chunks of several messages. */
  readonly takesFrames: boolean;
  /** Used by a delivery while it sends; the first `outboxCount` are valid. */
  readonly outbox: Watcher[] = [];
  outboxCount = 0;
  private parked: Watcher[] = [];
  /** As in etcd, the id of a watch that a compaction ended is taken until the caller cancels it. */
  private readonly compactedIds = new Set<bigint>();
  private nextId = 0n;
  private progressTimer: Timer | undefined = undefined;

  /** Made by `WatchHub.open`. */
  constructor(
    private readonly hub: WatchHub,
    private readonly sink: WatchSink,
    private readonly authorize: WatchAuthorizer | undefined,
  ) {
    this.takesFrames = sink.sendFramed !== undefined;
  }

  /** Handles one request of the caller. */
  handle(request: etcdserverpb.WatchRequest): void {
    const { request_union: union } = request;
    switch (union?.$case) {
      case 'create_request':
        this.create(union.value);
        return;
      case 'cancel_request':
        this.cancel(union.value.watch_id);
        return;
      case 'progress_request':
        this.requestProgress();
        return;
      case undefined:
        return;
    }
  }

  /**
   * Creates a watch. The answer `created` is sent at once and precedes every event of it. A watch that cannot be is
   * answered with `created` and `canceled`.
   */
  create(request: etcdserverpb.WatchCreateRequest): void {
    if (this.isClosed) return;
    const refusal = this.authorize?.(request);
    if (refusal !== undefined) {
      this.refuse(`rpc error: code = ${GrpcStatus[refusal.code]} desc = ${refusal.message}`);
      return;
    }
    if (request.start_revision < 0n) {
      this.refuse(ProtocolError.of('Compacted').message);
      return;
    }
    const bounds = watchBounds(request);
    if (isEmptyRange(bounds)) {
      this.refuse(EMPTY_RANGE);
      return;
    }
    if (request.watch_id !== 0n && this.isTaken(request.watch_id)) {
      this.refuse(DUPLICATE_ID);
      return;
    }
    this.add(request, bounds);
  }

  /** Cancels a watch, also one that a compaction ended already; an unknown id is ignored. */
  cancel(id: bigint): void {
    const watcher = this.watchers.get(id);
    if (watcher !== undefined) this.remove(watcher);
    else if (!this.compactedIds.delete(id)) return;
    this.sendControl({ id, canceled: true }, this.hub.store.currentRevision);
  }

  /**
   * Answers with one response of watch id -1, which says that everything up to its revision was sent. Silent unless
   * every watcher of the stream is synced and past its start revision (etcd #15220, #20221).
   */
  requestProgress(): void {
    const revision = this.hub.store.currentRevision;
    if (this.isClosed || this.watchers.size === 0 || !this.hub.isCurrent || this.unsynced > 0) return;
    for (const watcher of this.watchers.values()) if (watcher.startRevision > revision) return;
    this.sendControl({ id: INVALID_ID }, revision);
  }

  /** The sink accepts responses again. */
  drained(): void {
    if (this.isClosed || !this.isBlocked) return;
    this.isBlocked = false;
    const { parked } = this;
    this.parked = [];
    for (const watcher of parked) {
      watcher.isParked = false;
      if (!watcher.isClosed) this.hub.catchUp.enqueue(watcher);
    }
  }

  /** The caller is gone; nothing is sent any more. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.progressTimer?.cancel();
    for (const watcher of this.watchers.values()) this.hub.detach(watcher);
    this.watchers.clear();
    this.parked = [];
    this.unsynced = 0;
    this.hub.forget(this);
  }

  /** Part of the hub: a watcher waits until the sink drains. */
  park(watcher: Watcher): void {
    assert(this.isBlocked, 'a watcher is parked while its stream holds back');
    if (watcher.isParked) return;
    watcher.isParked = true;
    this.parked.push(watcher);
  }

  /** Part of the hub: ends a watch whose next revision was compacted. */
  cancelCompacted(watcher: Watcher): void {
    this.remove(watcher);
    this.compactedIds.add(watcher.id);
    if (this.compactedIds.size > COMPACTED_IDS_MAX) this.forgetOldestCompacted();
    const { compactRevision } = this.hub.store;
    this.sendControl({ id: watcher.id, canceled: true, compactRevision }, 0);
  }

  /** Part of the writer: takes responses, behind their prefixes if `takesFrames`, else one message without. */
  take(chunk: Uint8Array, messages: number, lender: ChunkLender): void {
    if (this.isClosed) return lender.returned();
    const { sink } = this;
    const accepts =
      sink.sendFramed !== undefined ? sink.sendFramed(chunk, messages, lender) : sink.send(chunk);
    if (!accepts) this.isBlocked = true;
  }

  private add(request: etcdserverpb.WatchCreateRequest, bounds: RangeBounds): void {
    const { store } = this.hub;
    const { NOPUT, NODELETE } = etcdserverpb.WatchCreateRequest_FilterType;
    const requested = request.start_revision;
    const startRevision =
      requested > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(requested);
    const watcher = new Watcher(
      this,
      {
        id: request.watch_id === 0n ? this.freeId() : request.watch_id,
        bounds,
        startRevision,
        noPut: request.filters.includes(NOPUT),
        noDelete: request.filters.includes(NODELETE),
        prevKv: request.prev_kv,
        fragment: request.fragment,
        progressNotify: request.progress_notify,
      },
      startRevision === 0 ? store.currentRevision + 1 : startRevision,
    );
    this.watchers.set(watcher.id, watcher);
    this.unsynced++;
    this.sendControl({ id: watcher.id, created: true }, store.currentRevision);
    if (watcher.isClosed) return;
    this.hub.attach(watcher);
    if (request.progress_notify) this.startProgress();
  }

  private freeId(): bigint {
    while (this.isTaken(this.nextId)) this.nextId++;
    return this.nextId++;
  }

  private isTaken(id: bigint): boolean {
    return this.watchers.has(id) || this.compactedIds.has(id);
  }

  private forgetOldestCompacted(): void {
    for (const id of this.compactedIds) {
      this.compactedIds.delete(id);
      return;
    }
  }

  private refuse(cancelReason: string): void {
    const { currentRevision } = this.hub.store;
    this.sendControl({ id: INVALID_ID, created: true, canceled: true, cancelReason }, currentRevision);
  }

  private remove(watcher: Watcher): void {
    this.watchers.delete(watcher.id);
    if (!watcher.isSynced) this.unsynced--;
    this.hub.detach(watcher);
  }

  private sendControl(response: ControlResponse, revision: number): void {
    if (this.isClosed) return;
    if (!this.sink.send(this.hub.encodeControl(response, revision))) this.isBlocked = true;
  }

  /** One timer for all watchers with progress_notify: the first tick after `interval` plus up to a tenth of it. */
  private startProgress(): void {
    if (this.progressTimer !== undefined || this.isClosed) return;
    this.progressTimer = this.hub.afterProgressInterval(() => this.tick());
  }

  private tick(): void {
    this.progressTimer = undefined;
    if (this.isClosed) return;
    let isWanted = false;
    for (const watcher of [...this.watchers.values()]) {
      if (!watcher.progressNotify || watcher.isClosed) continue;
      isWanted = true;
      this.notifyProgress(watcher);
    }
    if (isWanted) this.startProgress();
  }

  /** Skipped when something was sent in the interval, and unless everything up to the current revision was. */
  private notifyProgress(watcher: Watcher): void {
    const revision = this.hub.store.currentRevision;
    const { wasSent } = watcher;
    watcher.wasSent = false;
    if (wasSent || this.isBlocked || !watcher.isSynced || !this.hub.isCurrent) return;
    if (watcher.startRevision <= revision) this.sendControl({ id: watcher.id }, revision);
  }
}

/** etcd's rules: no key is the smallest key, `"\0"` as range_end is everything from the key on. */
function watchBounds(request: etcdserverpb.WatchCreateRequest): RangeBounds {
  const key = request.key.length === 0 ? '\0' : request.key.toString('latin1');
  return rangeBounds(key, request.range_end.toString('latin1'));
}
