import type { Observable } from 'rxjs';
import type { Duration, LossReason, Revision } from '../../src/index.js';

export interface ServiceInstance {
  readonly service: string;
  readonly id: string;
  /** Where it answers, for example `http://10.0.0.7:3000`. */
  readonly address: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly healthy: boolean;
}

export interface RegisterOptions {
  readonly id?: string;
  readonly address: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long after the last sign of life the instance is gone; default 15 s. */
  readonly ttl?: Duration;
  /** The instance is shown as unhealthy while this is false; default: always healthy. */
  readonly healthy$?: Observable<boolean>;
}

/** One instance in the list; registers itself again when its lease is lost. */
export interface Registration extends AsyncDisposable {
  readonly id: string;
  readonly state$: Observable<
    { readonly kind: 'registered' } | { readonly kind: 'lost'; readonly reason: LossReason }
  >;
  update(change: {
    readonly address?: string;
    readonly metadata?: Readonly<Record<string, string>>;
  }): Promise<void>;
  deregister(): Promise<void>;
}

/** `client.services` */
export interface Services {
  register(service: string, options: RegisterOptions): Promise<Registration>;
  /** The instances now and after each change, sorted by id. Without `all` the healthy ones only. */
  instances$(service: string, options?: { readonly all?: boolean }): Observable<readonly ServiceInstance[]>;
}

/** A position in a topic: the revision after which to go on. As text in a database. */
export type Cursor = bigint & { readonly __brand?: 'Cursor' };

export interface Message {
  readonly topic: string;
  readonly id: string;
  readonly body: Uint8Array;
  readonly text: string;
  /** Handled up to here: give it to `subscribe` to go on after this message. */
  readonly cursor: Cursor;
  readonly revision: Revision;
}

/**
 * Small messages to all who listen, over the store's history: at least as far back as `keep`. No work queue: every subscriber
 * gets every message. `client.topics`
 */
export interface Topics {
  /** Resolves when it is as durable as any write. `keep`: how long it may be fetched later; default 1 hour. */
  publish(topic: string, body: string | Uint8Array, options?: { readonly keep?: Duration }): Promise<Cursor>;
  /**
   * From now, or after a cursor: in order, none twice, none missed while it is kept.
   *
   * @throws CompactedError (errors) when messages after the cursor are no longer kept.
   */
  subscribe(topic: string, options?: { readonly after?: Cursor | 'beginning' }): Observable<Message>;
}

export interface OnceOptions {
  /** At least as long as clocks of instances may differ, and shorter than the time between two runs. Default 1 minute. */
  readonly ttl?: Duration;
}

/** Schedules: one run per due time over all instances, whoever comes first. `client.schedules` */
export interface Schedules {
  /** True for exactly one caller per name and due time. Fails closed: rejects when the store does not answer. */
  claim(name: string, dueAt: Date, options?: OnceOptions): Promise<boolean>;
}
