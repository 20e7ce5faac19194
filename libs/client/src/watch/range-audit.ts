import { type Observable, type Subscription } from 'rxjs';
import { asConclaveError } from '../error-mapping.js';
import { type Runtime, type Timer } from '../runtime.js';
import { type Differences, type KnownKeys } from './known-keys.js';
import { type Listing, type WatchSource } from './watch-source.js';

/** The watch that is audited. */
export interface AuditedWatch {
  /** Undefined while the stream is not up to date: then there is nothing to compare. */
  current(): { readonly known: KnownKeys; readonly position: bigint } | undefined;
  /** What was found; called only when there is a difference. */
  differs(found: Differences, position: bigint): void;
}

/**
 * Reads the names and versions of a range again from time to time, and compares them with what its watch has told: a server that
 * lost a change is found out. The list is read at the position of the watch, so that a difference cannot be a change on its way.
 *
 * Invariant: while a list is under way, `touched` has every key of which the watch told meanwhile; at most one of a timer and a
 * list is pending.
 */
export class RangeAudit {
  private timer: Timer | undefined;
  private reading: Subscription | undefined;
  private touched = new Set<string>();

  /** @param everyMs between two readings, give or take a tenth; more than 0. */
  constructor(
    private readonly source: WatchSource,
    private readonly watch: AuditedWatch,
    private readonly everyMs: number,
    private readonly runtime: Runtime,
  ) {}

  /** Begins, or begins again after the watch has started from a list: what is under way is dropped. */
  restart(): void {
    this.stop();
    // All watches of a fleet begin together after an outage; their audits shall not.
    const delayMs = this.everyMs * (0.9 + 0.2 * this.runtime.random());
    this.timer = this.runtime.clock.setTimer(delayMs, () => this.read());
  }

  stop(): void {
    this.timer?.cancel();
    this.reading?.unsubscribe();
    this.reading = undefined;
  }

  /** A key has changed. */
  touch(name: string): void {
    if (this.reading !== undefined) this.touched.add(name);
  }

  private read(): void {
    const start = this.watch.current();
    if (start === undefined) return this.restart();
    this.touched = new Set();
    this.list(this.source.list({ values: false, revision: start.position }), start.position, () => {
      // That revision was compacted away: then the newest one.
      this.list(this.source.list({ values: false, revision: 0n }), start.position, () => this.restart());
    });
  }

  private list(listing$: Observable<Listing>, position: bigint, compacted: () => void): void {
    this.reading = listing$.subscribe({
      next: (listing) => this.compare(listing, position),
      error: (error: unknown) => {
        if (asConclaveError(error).code === 'compacted') compacted();
        else this.restart();
      },
    });
  }

  private compare(listing: Listing, position: bigint): void {
    const now = this.watch.current();
    const found = now?.known.differences(listing.kvs, position, listing.revision, this.touched);
    this.restart();
    if (found !== undefined && found.lost + found.later > 0) this.watch.differs(found, position);
  }
}
