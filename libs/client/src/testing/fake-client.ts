import { of } from 'rxjs';
import { type BackoffOptions } from '../backoff.js';
import { StoreClient } from '../client.js';
import { type ConnectionState } from '../connection/connection-state.js';
import { type Runtime } from '../runtime.js';
import { FakeStore } from './fake-store.js';
import { VirtualClock } from './virtual-clock.js';

/** A store in memory, its clock, and clients of it. */
export class FakeWorld {
  readonly clock = new VirtualClock();
  readonly store = new FakeStore(this.clock);

  /** A further client of the same store, as if in another process with a clock of the same rate. */
  client(keyPrefix = ''): StoreClient {
    const runtime: Runtime = { clock: this.clock, random: () => 0.5 };
    const backoff: BackoffOptions = { baseMs: 100, maxMs: 1_000, jitter: 'full' };
    const connected: ConnectionState = {
      kind: 'connected',
      endpoint: 'memory',
      clusterId: 0x1001n,
      revision: 1n,
      raftTerm: 2n,
    };
    return new StoreClient(this.store, runtime, backoff, keyPrefix, {
      connection$: of(connected),
      ready: () => Promise.resolve(),
      close: () => undefined,
    });
  }
}
