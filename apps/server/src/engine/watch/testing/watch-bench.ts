import { MemoryBackend } from '../../backend/memory-backend.js';
import { MvccStore } from '../../mvcc/mvcc-store.js';
import { rangeBounds } from '../../mvcc/range-bounds.js';
import { WatchHub, type WatchHubOptions } from '../watch-hub.js';
import { ManualClock } from './manual-clock.js';
import { WatchClient, type WatchClientOptions } from './watch-client.js';

/** A store with its hub, driven by hand. */
export class WatchBench {
  readonly clock = new ManualClock();
  readonly backend = new MemoryBackend({ onFlush: () => {} });
  store = MvccStore.open(this.backend);
  readonly hub: WatchHub;

  constructor(options: Partial<WatchHubOptions> = {}) {
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
    this.hub.notify(txn.end());
    return this.store.currentRevision;
  }

  delete(key: string, end = ''): number {
    const txn = this.store.begin();
    txn.deleteRange(rangeBounds(key, end));
    this.hub.notify(txn.end());
    return this.store.currentRevision;
  }

  compact(revision: number): void {
    this.store.compact(revision);
    while (this.store.compactSlice(1));
  }

  catchUp(): void {
    while (this.hub.runCatchUp());
  }
}
