import type { DynamicModule } from '@nestjs/common';
import type { Clock, ConclaveClient, Duration, LeaseId, Revision } from '../../src/index.js';

export interface EmbeddedOptions {
  /** Default: in memory. A directory keeps its data. */
  readonly directory?: string;
  /** Listen for other processes: a port, or 0 for a free one. Default: no port at all. */
  readonly port?: number;
}

/** A real member in this process. */
export interface EmbeddedMember extends AsyncDisposable {
  /** Of the port, when one was asked for. */
  readonly address: string | undefined;
  /** Clients end with the member. */
  client(options?: { readonly keyPrefix?: string }): ConclaveClient;
  stop(): Promise<void>;
}
export declare function startEmbedded(options?: EmbeddedOptions): Promise<EmbeddedMember>;

/** A store in memory on a clock that only the test moves. */
export interface FakeConclave {
  readonly clock: Clock;
  client(options?: { readonly keyPrefix?: string }): ConclaveClient;
  /** Runs everything that is due within this time, in order. */
  advance(by: Duration): Promise<void>;
  /** Ends the lease as the server would. */
  expireLease(id: LeaseId): Promise<void>;
  /** Cuts the clients off until `heal`, in one direction when asked: `requests` never arrive, or `answers` never do. */
  partition(direction?: 'both' | 'requests' | 'answers'): void;
  heal(): void;
  moveLeader(): void;
  compact(revision?: Revision): void;
  /** A store that is empty, or older, under another cluster id. */
  replaceStore(): void;
  /** The clocks go on, and nothing of this process runs. */
  stallEventLoop(by: Duration): void;
}
export declare function fakeConclave(): FakeConclave;

/** Stands in for ConclaveModule without a server. Config is by namespace and dotted path. */
export declare class TestConclaveModule {
  static with(options?: {
    readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly fake?: FakeConclave;
  }): DynamicModule;
}
