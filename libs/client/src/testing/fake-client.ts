import { of } from 'rxjs';
import { type BackoffOptions } from '../backoff.js';
import { StoreClient } from '../client.js';
import { type ConfigOptions } from '../config/config-options.js';
import { type Host, type ClientWarning } from '../host.js';
import { type ConnectionState } from '../connection/connection-state.js';
import { type Clock, type Runtime } from '../runtime.js';
import { FakeStore } from './fake-store.js';
import { VirtualClock } from './virtual-clock.js';

/** A store in memory, its clock, and clients of it. */
export class FakeWorld {
  readonly clock = new VirtualClock();
  readonly store = new FakeStore(this.clock);
  /** Everything that clients warned of. */
  readonly warnings: ClientWarning[] = [];
  /** The codes with which clients ended their process. */
  readonly exits: number[] = [];
  private clients = 0;

  /**
   * A further client of the same store, as if in another process (`host:1`, `host:2` and so on). `clock`: its own view of the
   * time; default the world's.
   */
  client(keyPrefix = '', clock: Clock = this.clock, config?: ConfigOptions): StoreClient {
    const runtime: Runtime = { clock, random: () => 0.5 };
    this.clients += 1;
    const host: Host = {
      identity: `host:${this.clients}`,
      warn: (warning) => this.warnings.push(warning),
      exit: (code) => this.exits.push(code),
    };
    const backoff: BackoffOptions = { baseMs: 100, maxMs: 1_000, jitter: 'full' };
    const connected: ConnectionState = {
      kind: 'connected',
      endpoint: 'memory',
      clusterId: 0x1001n,
      revision: 1n,
      raftTerm: 2n,
    };
    const network = {
      connection$: of(connected),
      ready: () => Promise.resolve(),
      close: () => undefined,
    };
    return new StoreClient(this.store, runtime, backoff, keyPrefix, network, host, config);
  }
}
