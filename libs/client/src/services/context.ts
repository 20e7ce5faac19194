import { type Backoff } from '../backoff.js';
import { type Host } from '../host.js';
import { type Kv } from '../kv/kv.js';
import { type Leases } from '../lease/leases.js';
import { type Clock, type Runtime } from '../runtime.js';
import { type Watches } from '../watch/watches.js';

/** What registration, topics and schedules are made of: keys under the client's prefix, watches, leases and time. */
export interface ServiceContext {
  readonly kv: Kv;
  readonly watches: Watches;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly random: Runtime['random'];
  readonly host: Host;
  readonly newBackoff: () => Backoff;
  /** Aborts with a ClosedError when the client closes. */
  readonly closing: AbortSignal;
  /** What is to be given back before the client closes. */
  readonly open: Set<{ close(): Promise<void> }>;
}
