import { Buffer } from 'node:buffer';
import { installState, memoryBackend } from '../../backend/memory-backend.fixture.js';
import { MvccStore, type WriteTxn } from '../../mvcc/mvcc-store.js';
import { rangeBounds } from '../../mvcc/range-bounds.js';
import { WatchHub, type WatchHubOptions } from '../watch-hub.js';
import { ManualClock } from './manual-clock.js';
import { WatchClient, type WatchClientOptions } from './watch-client.js';

/** A store with its hub, driven by hand. */
export class WatchBench {
  readonly clock = new ManualClock();
  readonly store: MvccStore;
  readonly hub: WatchHub;

  constructor(
    options: Partial<WatchHubOptions> = {},
    readonly backend = memoryBackend(),
  ) {
    this.store = MvccStore.open(backend);
    this.hub = new WatchHub(this.store, {
      clock: this.clock,
      random: { below: () => 0, uint64: () => 0n },
      header: () => ({ clusterId: 0xfeed_beef_feed_beefn, memberId: 7n, raftTerm: 3 }),
      fragmentBytes: 2 * 1024 * 1024,
      ...options,
    });
  }

  open(options: WatchClientOptions = {}): WatchClient {
    return new WatchClient(this.hub, options);
  }

  put(...keys: readonly string[]): number {
    const txn = this.store.begin();
    for (const key of keys) txn.put(key, Buffer.from(`value of ${key}`), 0n);
    return this.end(txn);
  }

  delete(key: string, end = ''): number {
    const txn = this.store.begin();
    txn.deleteRange(rangeBounds(key, end));
    return this.end(txn);
  }

  compact(revision: number): void {
    this.store.compact(revision);
    while (this.store.compactSlice(1));
    this.applied();
  }

  catchUp(): void {
    while (this.hub.runCatchUp());
  }

  /** The member gets the state of one that is ahead of it in the same history. */
  async restore(other: WatchBench): Promise<void> {
    await installState(other.backend, this.backend, () => {
      this.store.reload();
      this.hub.restored();
    });
  }

  private end(txn: WriteTxn): number {
    const set = txn.end();
    this.applied();
    this.hub.notify(set);
    return this.store.currentRevision;
  }

  private applied(): void {
    this.backend.setApplied({ index: this.backend.applied.index + 1, term: 1 });
  }
}
