import { filter, type Observable, type Subscription, take } from 'rxjs';
import { type ConnectionState } from '../connection/connection-state.js';
import { type DiscoveredMembers } from '../connection/endpoints.js';
import { type Runtime, type Timer } from '../runtime.js';
import { type ClusterApi } from './cluster.js';

/** The list is asked for after the interval, give or take this part of it, so that clients do not ask in step. */
const spread = 0.2;

export interface DiscoveryOptions {
  readonly cluster: Pick<ClusterApi, 'members'>;
  readonly connection$: Observable<ConnectionState>;
  readonly runtime: Runtime;
  readonly everyMs: number;
  readonly found: (members: DiscoveredMembers) => void;
}

/**
 * Asks for the member list when the client has connected for the first time, and again at intervals. A list that cannot be
 * had leaves the last one in force. Learners are members, but not among those that calls go to.
 */
export class Discovery {
  private readonly subscription: Subscription;
  private readonly stopped = new AbortController();
  private timer: Timer | undefined;

  constructor(private readonly options: DiscoveryOptions) {
    const connected$ = options.connection$.pipe(filter((state) => state.kind === 'connected'));
    this.subscription = connected$.pipe(take(1)).subscribe(() => void this.ask());
  }

  stop(): void {
    this.stopped.abort();
    this.subscription.unsubscribe();
    this.timer?.cancel();
  }

  private async ask(): Promise<void> {
    const { cluster, found, runtime, everyMs } = this.options;
    const { signal } = this.stopped;
    const members = await cluster.members({ signal }).catch(() => undefined);
    if (signal.aborted) return;
    if (members !== undefined) {
      found({
        ids: new Set(members.filter((member) => !member.isLearner).map((member) => member.id)),
        urls: members.flatMap((member) => (member.isLearner ? [] : member.clientUrls)),
      });
    }
    const factor = 1 - spread + 2 * spread * runtime.random();
    this.timer = runtime.clock.setTimer(everyMs * factor, () => void this.ask());
  }
}
