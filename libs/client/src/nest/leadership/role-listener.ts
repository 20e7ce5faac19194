import { type Leadership } from '../../concurrency/leadership.js';
import { settledWithin } from '../../cancellation.js';
import { type Clock } from '../../runtime.js';
import { logFailure } from '../methods/log-failure.js';
import { type ApplicationWork } from '../shutdown/application-work.js';

/** What handlers of roles are told with. */
export interface RoleSurroundings {
  readonly clock: Clock;
  readonly drainMs: number;
  readonly work: ApplicationWork;
}

export type RoleEvent = 'elected' | 'deposed';

/**
 * The `@OnElected` and `@OnDeposed` methods of one instance for one election.
 *
 * Invariant: it is told of elections and depositions in turns, an election first, each after the one before has settled. A leadership
 * that is over before it could be told is not told at all.
 */
export class RoleListener {
  private readonly methods: Record<RoleEvent, string[]> = { elected: [], deposed: [] };
  private told: Promise<void> = Promise.resolve();

  constructor(
    private readonly instance: object,
    private readonly election: string,
    private readonly surroundings: RoleSurroundings,
  ) {}

  add(event: RoleEvent, method: string): void {
    this.methods[event].push(method);
  }

  /** To be called for each leadership in turn. */
  follow(leadership: Leadership): void {
    this.told = this.told.then(() => this.lead(leadership));
  }

  /** Resolves when it was told of everything. */
  settled(): Promise<void> {
    return this.told;
  }

  private async lead(leadership: Leadership): Promise<void> {
    if (leadership.stopping.aborted || !leadership.isHeld()) return;
    const { clock, drainMs, work } = this.surroundings;
    const elected = leadership.runWithin(() => this.tell('elected', leadership));
    leadership.waitUntil(work.track(elected));
    const how = await leadership.done;
    // A handler that does not stop must not keep the end of the leadership from being told.
    await settledWithin(clock, drainMs, elected);
    await this.tell('deposed', how);
  }

  /** Never rejects: what one handler throws is logged and keeps nobody from anything. */
  private async tell(event: RoleEvent, news: unknown): Promise<void> {
    const handlers = this.instance as Record<string, (news: unknown) => unknown>;
    await Promise.all(
      this.methods[event].map(async (method) => {
        try {
          await handlers[method]?.(news);
        } catch (error) {
          const title = `${this.instance.constructor.name}.${method}`;
          logFailure(`${title}, told that it is ${event} in '${this.election}'`, error);
        }
      }),
    );
  }
}
