import { mvccpb, type etcdserverpb as pb } from '@conclave/protocol';
import { Observable, type Subscriber, Subscription } from 'rxjs';
import { Backoff, type BackoffOptions } from '../backoff.js';
import { asConclaveError, watchCancelError } from '../error-mapping.js';
import { type ConclaveError, UnavailableError } from '../errors.js';
import { type KeyNamespace } from '../key-range.js';
import { type Runtime, type Timer } from '../runtime.js';
import { KnownKeys } from './known-keys.js';
import {
  type BatchCause,
  changeOf,
  type KeyChange,
  putChange,
  type RevisionBatch,
} from './revision-batch.js';
import { type AuditedWatch, RangeAudit } from './range-audit.js';
import { RevisionGrouper } from './revision-grouper.js';
import { type ResyncReason, type WatchMonitor } from './watch-monitor.js';
import { type Listing, type ListOptions, type WatchSource } from './watch-source.js';

/** What a watch tells: its batches, and whether it is up to date at the moment. */
export type WatchSignal =
  | {
      readonly kind: 'batch';
      readonly batch: RevisionBatch;
      /** Of the store that said so; 0n when it does not tell. */
      readonly clusterId: bigint;
    }
  | { readonly kind: 'live' }
  | { readonly kind: 'stale'; readonly error: ConclaveError };

export interface ResumingWatchOptions {
  /** The first revision to deliver; undefined: from now on. Ignored with `initial`. */
  readonly fromRevision: bigint | undefined;
  /** Begin with a batch of everything that exists. */
  readonly initial: boolean;
  /** Keep the names of all keys, so that deletes that nobody saw can be told. */
  readonly trackKeys: boolean;
  /** The keys that exist just before `fromRevision`, when the caller knows them. */
  readonly baseline?: KnownKeys;
  readonly progress: boolean;
  readonly puts: boolean;
  readonly deletes: boolean;
  readonly backoff: BackoffOptions;
  /** Compare with a list every so many milliseconds; 0 or undefined: never. Needs `trackKeys`. */
  readonly auditEveryMs?: number;
  readonly monitor?: WatchMonitor | undefined;
}

/**
 * A watch that goes on over lost streams, lost members, compaction and a replaced store. Cold; every subscription is a
 * watch of its own. Errors only when going on is pointless (no permission, a bad range); completes only when the client is closed.
 */
export function resumingWatch(
  source: WatchSource,
  names: KeyNamespace,
  options: ResumingWatchOptions,
  runtime: Runtime,
): Observable<WatchSignal> {
  return new Observable((subscriber) => {
    const watch = new ResumingWatch(source, names, options, runtime, subscriber);
    subscriber.add(() => watch.stop());
    watch.start();
  });
}

/**
 * One subscription.
 *
 * Invariants: every change with a revision below `next` was delivered, exactly once, and none from `next` on (0n: the
 * beginning is not known yet). `known`, when set, holds the keys that exist after revision `next - 1`. At most one of a
 * stream, a list request and a timer is under way, held in `work`; the list of the audit is beside it. `isLive` is true exactly
 * while a stream is open that the server has confirmed.
 */
class ResumingWatch {
  private next: bigint;
  private known: KnownKeys | undefined;
  private clusterId = 0n;
  private readonly grouper = new RevisionGrouper();
  private readonly backoff: Backoff;
  private work: Subscription | undefined;
  /** Counts the works; a source that answers while it is being subscribed may be outdated when it goes on. */
  private turn = 0;
  private timer: Timer | undefined;
  private isLive = false;
  private readonly audit: RangeAudit | undefined;
  /** Ends the report of the resync under way. */
  private resynced: ReturnType<WatchMonitor['resyncing']> | undefined;

  constructor(
    private readonly source: WatchSource,
    private readonly names: KeyNamespace,
    private readonly options: ResumingWatchOptions,
    private readonly runtime: Runtime,
    private readonly subscriber: Subscriber<WatchSignal>,
  ) {
    this.next = options.fromRevision ?? 0n;
    this.known = options.baseline;
    this.backoff = new Backoff(options.backoff, runtime.random);
    const { auditEveryMs = 0, trackKeys } = options;
    if (auditEveryMs > 0 && trackKeys) this.audit = this.newAudit(auditEveryMs);
  }

  private newAudit(everyMs: number): RangeAudit {
    const watch: AuditedWatch = {
      current: () => {
        const { known, next } = this;
        return this.isLive && known !== undefined ? { known, position: next - 1n } : undefined;
      },
      differs: ({ lost }, position) => {
        if (lost > 0) this.options.monitor?.lostChanges(lost, position);
        this.resync('resync', lost > 0 ? 'lost-change' : 'compacted');
      },
    };
    return new RangeAudit(this.source, watch, everyMs, this.runtime);
  }

  /** Finds out where to begin: the least work that leaves no gap between the first question and the first event. */
  start(): void {
    const { initial, fromRevision, trackKeys } = this.options;
    if (initial) {
      this.listChanges((listing, changes) => this.begin(listing, changes));
    } else if (fromRevision === undefined) {
      this.list({ values: false, revision: 0n }, (listing) => this.begin(listing, undefined));
    } else if (this.known === undefined && trackKeys) {
      this.readBaseline(fromRevision);
    } else {
      this.open();
    }
  }

  stop(): void {
    this.turn += 1;
    this.timer?.cancel();
    this.audit?.stop();
    this.work?.unsubscribe();
    this.resynced?.(undefined);
  }

  private begin(listing: Listing, initial: readonly KeyChange[] | undefined): void {
    this.clusterId = listing.clusterId;
    this.next = listing.revision + 1n;
    if (initial !== undefined) this.emit(listing.revision, 'initial', initial, true);
    // Needed for what comes later, so whoever waits for the first state need not wait for it.
    if (this.options.trackKeys) this.known = KnownKeys.listed(listing.kvs);
    this.open();
  }

  private readBaseline(fromRevision: bigint): void {
    if (fromRevision <= 1n) {
      this.known = KnownKeys.listed([]);
      return this.open();
    }
    this.list(
      { values: false, revision: fromRevision - 1n },
      (listing) => {
        this.known = KnownKeys.listed(listing.kvs);
        this.open();
      },
      // Compacted away or not there yet: begin without knowing what existed before.
      (error) => {
        if (error.code !== 'compacted' && error.code !== 'future-revision') return false;
        this.open();
        return true;
      },
    );
  }

  private open(): void {
    if (this.subscriber.closed) return;
    this.grouper.reset();
    this.replaceWork(
      this.source.open(this.next),
      (response) => this.onResponse(response),
      (error) => this.onFailure(error, () => this.open()),
    );
  }

  private list(
    options: ListOptions,
    found: (listing: Listing) => void,
    refused?: (e: ConclaveError) => boolean,
  ): void {
    if (this.subscriber.closed) return;
    this.replaceWork(this.source.list(options), found, (error) => {
      if (refused?.(error) !== true) this.onFailure(error, () => this.list(options, found, refused));
    });
  }

  /** Lists everything, as changes too, which are made while the rest of the list is on its way. */
  private listChanges(found: (listing: Listing, changes: readonly KeyChange[]) => void): void {
    if (this.subscriber.closed) return;
    const changes: KeyChange[] = [];
    const arrived = (kvs: readonly mvccpb.KeyValue[]): void => {
      for (const kv of kvs) changes.push(putChange(kv, true, this.names));
    };
    this.replaceWork(
      this.source.list({ values: true, revision: 0n, arrived }),
      (listing) => found(listing, changes),
      (error) => this.onFailure(error, () => this.listChanges(found)),
    );
  }

  /** Ends the current work and begins another; what the old one still says is not heard any more. */
  private replaceWork<T>(
    work$: Observable<T>,
    next: (value: T) => void,
    failed: (e: ConclaveError) => void,
  ): void {
    this.work?.unsubscribe();
    this.turn += 1;
    const { turn } = this;
    const work = new Subscription();
    this.work = work;
    work.add(
      work$.subscribe({
        next: (value) => {
          if (turn === this.turn) next(value);
        },
        error: (error: unknown) => {
          if (turn === this.turn) failed(asConclaveError(error));
        },
      }),
    );
  }

  private onResponse(response: pb.WatchResponse): void {
    const { header } = response;
    if (header !== undefined && header.cluster_id !== 0n) {
      if (this.clusterId !== 0n && this.clusterId !== header.cluster_id) return this.resync('store-replaced');
      this.clusterId = header.cluster_id;
    }
    // `created` and `canceled` may come in one response: the end counts.
    if (response.canceled) return this.onCanceled(response);
    if (response.created) return this.onCreated(header?.revision ?? 0n);
    if (response.events.length === 0) return this.onProgress(header?.revision ?? 0n);
    this.grouper.push(response.events, response.fragment, (revision, events) =>
      this.deliver(revision, events),
    );
  }

  private onCanceled(response: pb.WatchResponse): void {
    if (response.compact_revision > 0n) return this.resync('resync');
    const error =
      response.cancel_reason === ''
        ? new UnavailableError('the server cancelled the watch without a reason')
        : watchCancelError(response.cancel_reason);
    if (error.reason === 'Compacted') return this.resync('resync');
    this.onFailure(error, () => this.open());
  }

  /**
   * A member that is behind what was delivered either lags or belongs to a store that went back in time. Only a
   * linearizable read can tell.
   */
  private onCreated(revision: bigint): void {
    if (revision === 0n || revision >= this.next - 1n || this.isAhead()) {
      return this.live();
    }
    this.list({ values: false, revision: 0n }, (listing) => {
      if (listing.revision < this.next - 1n) this.resync('store-replaced');
      else this.open();
    });
  }

  private live(): void {
    if (!this.isLive) this.audit?.restart();
    this.isLive = true;
    this.subscriber.next({ kind: 'live' });
  }

  private stale(error: ConclaveError): void {
    this.isLive = false;
    this.audit?.stop();
    this.subscriber.next({ kind: 'stale', error });
  }

  /** The caller asked for a revision that does not exist yet, and nothing was delivered so far. */
  private isAhead(): boolean {
    return this.next === this.options.fromRevision;
  }

  /** Everything up to this revision was sent on this very stream. */
  private onProgress(revision: bigint): void {
    if (this.grouper.isInside || revision < this.next) return;
    this.backoff.reset();
    this.next = revision + 1n;
    if (this.options.progress) this.emit(revision, 'change', [], false);
  }

  private deliver(revision: bigint, events: readonly mvccpb.Event[]): void {
    if (revision < this.next || this.subscriber.closed) return;
    this.backoff.reset();
    this.next = revision + 1n;
    const changes: KeyChange[] = [];
    for (const event of events) {
      const change = changeOf(event, this.names);
      if (change === undefined || event.kv === undefined) continue;
      const deleted = event.type === mvccpb.Event_EventType.DELETE;
      const name = this.known?.apply({ deleted, key: event.kv.key, revision });
      if (name !== undefined) this.audit?.touch(name);
      changes.push(change);
    }
    this.emit(revision, 'change', changes, false);
  }

  /** Lists everything and tells the difference: history has a gap here, the subscriber's state has not. */
  private resync(
    cause: 'resync' | 'store-replaced',
    reason: ResyncReason = cause === 'resync' ? 'compacted' : cause,
  ): void {
    this.resynced?.(undefined);
    this.resynced = this.options.monitor?.resyncing(reason);
    this.stale(new UnavailableError(`the watch starts again from a list (${cause})`));
    this.listChanges((listing, all) => {
      const delivered = this.next - 1n;
      this.clusterId = listing.clusterId;
      this.next = listing.revision + 1n;
      const { known } = this;
      if (this.options.trackKeys) this.known = KnownKeys.listed(listing.kvs);
      const replaced = cause === 'store-replaced';
      const changes = known?.changesTo(listing.kvs, delivered, replaced, this.names) ?? all;
      this.resynced?.({ revision: listing.revision, changes: changes.length });
      this.resynced = undefined;
      this.emit(listing.revision, cause, changes, known === undefined || replaced);
      this.open();
    });
  }

  private emit(revision: bigint, cause: BatchCause, all: readonly KeyChange[], complete: boolean): void {
    const { puts, deletes, progress } = this.options;
    const changes = puts && deletes ? all : all.filter((change) => (change.type === 'put' ? puts : deletes));
    if (changes.length === 0 && cause === 'change' && !progress) return;
    const { clusterId } = this;
    this.subscriber.next({ kind: 'batch', batch: { revision, cause, changes, complete }, clusterId });
  }

  private onFailure(error: ConclaveError, again: () => void): void {
    this.turn += 1;
    this.work?.unsubscribe();
    if (this.subscriber.closed) return;
    if (error.code === 'closed') return this.subscriber.complete();
    // A long list may be overtaken by a compaction between two pages: it begins again.
    if (!error.retryable && error.code !== 'compacted') return this.subscriber.error(error);
    this.stale(error);
    const replaced = error.code === 'store-replaced' && this.next > 0n;
    this.timer = this.runtime.clock.setTimer(this.backoff.next(), () => {
      if (replaced) this.resync('store-replaced');
      else again();
    });
  }
}
