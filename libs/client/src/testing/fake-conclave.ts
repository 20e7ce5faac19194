import { type ConclaveClient } from '../client.js';
import { type ConfigOptions } from '../config/config-options.js';
import { type Duration, durationMs } from '../duration.js';
import { ConclaveError } from '../errors.js';
import { type ClientWarning } from '../host.js';
import { type LeaseId } from '../kv/entry.js';
import { type Clock } from '../runtime.js';
import { FakeWorld } from './fake-client.js';
import { type PartitionDirection } from './fake-store.js';

export interface FakeClientOptions {
  readonly keyPrefix?: string;
  /** Whose configuration it reads; by default it keeps no cache and reports nothing. */
  readonly config?: ConfigOptions;
  /** A view of the time of its own; default: that of the fake. */
  readonly clock?: Clock;
}

/**
 * A store in memory that answers as a member does, on a clock that only the test moves. Nothing waits for real time: a lease of an hour
 * ends when the test has let an hour pass.
 *
 * What the real thing has and this has not: several members, sockets, a disk, quotas, authentication. For these there is
 * `startEmbedded`.
 */
export interface FakeConclave {
  readonly clock: Clock;
  /** What the clients warned of, oldest first. */
  readonly warnings: readonly ClientWarning[];
  /** The codes with which clients would have ended their process (`onLost: 'exit'`). */
  readonly exits: readonly number[];
  /** Options with which ConclaveModule.forRoot takes its client from here. */
  readonly connection: {
    readonly endpoints: readonly string[];
    readonly clock: Clock;
    readonly clientFactory: (options: ModuleOptions) => ConclaveClient;
  };
  /** A further client, as if in another process. */
  client(options?: FakeClientOptions): ConclaveClient;
  /** Lets time pass: all timers that are due fire in order, and all that they cause is done before the next one. */
  advance(by: Duration): Promise<void>;
  /** Lets everything be done that needs no time. */
  settle(): Promise<void>;
  /** Ends the lease as the server does when its time is over. @throws ConclaveError `lease-not-found` (rejects). */
  expireLease(id: LeaseId): Promise<void>;
  /**
   * Cuts the clients off until {@link heal}; they do not notice until an answer is overdue. `requests`: what they send is lost.
   * `answers`: it is done, and they do not hear of it. `both` (the default): no connection can be made either, so that calls time out
   * and are known not to be done.
   */
  partition(direction?: PartitionDirection): void;
  /** Ends a partition. Streams from before it are lost and opened again. */
  heal(): void;
  /** Another member leads: a new term, every lease gets its whole time again, and streams are opened again. */
  moveLeader(): void;
  /** Forgets history before this revision; default: the newest. @throws ProtocolError when it is compacted or in the future. */
  compact(revision?: bigint): void;
  /** An empty store under another cluster id answers from now on. */
  replaceStore(): void;
  /** Time passes and nothing of this process runs; what became due fires with the next {@link advance}. */
  stallEventLoop(by: Duration): void;
}

/** What is looked at of the options of ConclaveModule. */
type ModuleOptions = { readonly keyPrefix?: string } & Partial<ConfigOptions>;

/**
 * ```ts
 * const conclave = fakeConclave();
 * const handle = await conclave.client().locks.mutex('invoices').acquire();
 * conclave.partition();
 * await conclave.advance('15s');
 * handle.isHeld(); // false
 * ```
 */
export function fakeConclave(): FakeConclave {
  return new InMemoryConclave();
}

class InMemoryConclave implements FakeConclave {
  readonly connection: FakeConclave['connection'];
  private readonly world = new FakeWorld();

  constructor() {
    this.connection = {
      endpoints: [],
      clock: this.clock,
      clientFactory: ({ keyPrefix, ...options }) => {
        const { app } = options;
        return this.client({
          ...(keyPrefix === undefined ? {} : { keyPrefix }),
          ...(app === undefined ? {} : { config: { ...options, app } }),
        });
      },
    };
  }

  get clock(): Clock {
    return this.world.clock;
  }

  get warnings(): readonly ClientWarning[] {
    return this.world.warnings;
  }

  get exits(): readonly number[] {
    return this.world.exits;
  }

  client(options: FakeClientOptions = {}): ConclaveClient {
    const { keyPrefix = '', clock = this.clock, config } = options;
    const reading: ConfigOptions | undefined = config && { cache: false, report: false, ...config };
    return this.world.client(keyPrefix, clock, reading);
  }

  advance(by: Duration): Promise<void> {
    return this.world.clock.advance(durationMs(by, 'by'));
  }

  settle(): Promise<void> {
    return this.world.clock.settle();
  }

  async expireLease(id: LeaseId): Promise<void> {
    if (!this.world.store.liveLeases.includes(id)) {
      throw new ConclaveError('lease-not-found', `there is no lease ${id.toString(16)}`, false);
    }
    this.world.store.expireLease(id);
    await this.settle();
  }

  partition(direction: PartitionDirection = 'both'): void {
    this.world.store.partition(direction);
  }

  heal(): void {
    this.world.store.heal();
  }

  moveLeader(): void {
    this.world.store.moveLeader();
  }

  compact(revision: bigint = this.world.store.revision): void {
    this.world.store.compactTo(revision);
  }

  replaceStore(): void {
    this.world.store.replaceStore();
  }

  stallEventLoop(by: Duration): void {
    this.world.clock.stall(durationMs(by, 'by'));
  }
}
