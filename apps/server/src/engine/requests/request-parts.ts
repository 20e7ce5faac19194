import type { StateMachine } from '../apply/state-machine.js';
import type { Backend } from '../backend/backend.js';
import type { Lessor } from '../lease/lessor.js';
import type { MvccStore } from '../mvcc/mvcc-store.js';
import type { Clock } from '../platform/clock.js';
import type { Disk } from '../platform/disk.js';
import type { Meter } from '../platform/meter.js';
import type { Random } from '../platform/random.js';
import type { Compactor } from '../replica/compactor.js';
import type { LeadershipTransfer } from '../replica/leadership-transfer.js';
import type { LeaseRenewal } from '../replica/lease-renewal.js';
import type { MemberHealth } from '../replica/member-health.js';
import type { Replica } from '../replica/replica.js';
import type { WatchHub } from '../watch/watch-hub.js';
import type { LeaderlessStreams } from './leaderless-streams.js';
import type { OpenWatches } from './open-watches.js';
import type { ResponseHeader } from './response-header.js';

/** Limits of requests; the names are those of the flags. */
export interface RequestLimits {
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  /** Bytes that the store may use before writes are refused; 0 or less: no limit. */
  readonly quotaBackendBytes: number;
  /** The shortest TTL of a lease in seconds: shorter ones are raised to it. */
  readonly minLeaseTtlSeconds: number;
  /** Learners that may be there at a time; 1, as etcd's default, when not given. Each takes all that the leader writes. */
  readonly maxLearners?: number | undefined;
}

/** What requests read and propose through. */
export interface RequestParts {
  readonly replica: Replica;
  readonly machine: StateMachine;
  readonly store: MvccStore;
  readonly lessor: Lessor;
  readonly hub: WatchHub;
  readonly backend: Backend;
  readonly compactor: Compactor;
  readonly renewal: LeaseRenewal;
  readonly health: MemberHealth;
  readonly transfer: LeadershipTransfer;
  readonly leaderless: LeaderlessStreams;
  readonly watches: OpenWatches;
  readonly header: ResponseHeader;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  readonly disk: Disk;
  /** A directory of this member for copies of its state on their way; what a crash leaves in it is removed at the start. */
  readonly spoolDirectory: string;
  readonly limits: RequestLimits;
  readonly identity: { readonly clusterId: bigint; readonly memberId: bigint };
}
