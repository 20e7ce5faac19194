import { abortable, cancellationOf, pause, settledWithin } from '../cancellation.js';
import { durationMs } from '../duration.js';
import { LeadershipLostError, type LossReason } from '../errors.js';
import { type ConcurrencyContext } from './context.js';
import { type Election } from './election.js';
import { type Leadership } from './leadership.js';
import { cooldownMs, type ParticipateOptions } from './participation.js';

export interface RunAsLeaderOptions extends Omit<ParticipateOptions, 'eligible$'> {
  /** Ends the participation: `leadership.stopping` aborts, the function may drain, then the key is deleted. */
  readonly signal?: AbortSignal;
  /**
   * After a loss: `restart` (default) campaigns again once the function has settled; `throw` rejects with
   * LeadershipLostError, after the function has settled or the drain is over; `exit` ends the process with code 1 when the
   * function has not settled within the margin, which is when the store may have another leader.
   */
  readonly onLost?: 'restart' | 'throw' | 'exit';
}

type Outcome = { readonly kind: 'returned' } | { readonly kind: 'threw'; readonly error: unknown };

/** A function that runs while this process leads. Invariant: it runs at most once at a time. */
export class LeaderTask {
  private readonly drainMs: number;

  constructor(
    private readonly election: Election,
    private readonly context: ConcurrencyContext,
    private readonly fn: (leadership: Leadership) => Promise<void>,
    private readonly options: RunAsLeaderOptions,
    private readonly marginMs: number,
  ) {
    this.drainMs = durationMs(options.drain ?? '5s', 'drain');
    cooldownMs(options.cooldown, context.random);
  }

  /** Until the function returns or throws while it leads, the signal aborts, or a loss ends it. */
  async run(): Promise<void> {
    const { value, signal } = this.options;
    for (;;) {
      const leadership = await this.election.campaign({
        ...(value === undefined ? {} : { value }),
        ...(signal === undefined ? {} : { signal }),
      });
      if (await this.lead(leadership)) return;
      await pause(this.context.clock, cooldownMs(this.options.cooldown, this.context.random), signal);
    }
  }

  /** One leadership. True when the function has done its work; false when it is to lead again. */
  private async lead(leadership: Leadership): Promise<boolean> {
    const work = leadership.runWithin(() => Promise.resolve().then(() => this.fn(leadership)));
    const outcome: Promise<Outcome> = work.then(
      () => ({ kind: 'returned' }),
      (error: unknown) => ({ kind: 'threw', error }),
    );
    leadership.waitUntil(outcome);
    const end = await Promise.race([outcome, leadership.done, this.aborted(leadership)]);
    if (end === 'aborted') return this.cancelled(leadership, outcome);
    // By the clock: a function that comes back after a stall has not led until its end.
    const isHeld = leadership.isHeld();
    if (typeof end === 'object') {
      const wasAsked = leadership.stopping.aborted;
      if (isHeld) await leadership.resign();
      if (end.kind === 'threw' && (isHeld || wasAsked)) throw end.error;
      // Somebody resigned this leadership while the function ran: it leads again when its turn comes.
      if (isHeld) return !wasAsked;
    }
    const how = await leadership.done;
    if (how === 'resigned') return this.settledBeforeNext(outcome);
    return this.lost(how, outcome);
  }

  private aborted(leadership: Leadership): Promise<'aborted'> {
    const { signal } = this.options;
    return new Promise((resolve) => {
      if (signal === undefined) return;
      const onAbort = (): void => resolve('aborted');
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      void leadership.done.then(() => signal.removeEventListener('abort', onAbort));
    });
  }

  private async cancelled(leadership: Leadership, outcome: Promise<Outcome>): Promise<never> {
    await leadership.resign({ drain: this.drainMs });
    const end = await Promise.race([outcome, Promise.resolve(undefined)]);
    if (end?.kind === 'threw') throw end.error;
    throw cancellationOf(this.options.signal ?? AbortSignal.abort());
  }

  private async lost(reason: LossReason, outcome: Promise<Outcome>): Promise<false> {
    const { onLost = 'restart' } = this.options;
    const { clock, host } = this.context;
    const error = new LeadershipLostError(
      `the leadership is lost (${reason}) while its function ran`,
      reason,
    );
    switch (onLost) {
      case 'restart':
        return this.settledBeforeNext(outcome);
      case 'throw':
        await settledWithin(clock, this.drainMs, outcome);
        throw error;
      case 'exit': {
        let settled = false;
        void outcome.then(() => (settled = true));
        await settledWithin(clock, this.marginMs, outcome);
        if (!settled) host.exit(1);
        throw error;
      }
    }
  }

  /** What the function throws after its leadership has ended is the way it ends. */
  private async settledBeforeNext(outcome: Promise<Outcome>): Promise<false> {
    try {
      await abortable(outcome, this.options.signal);
      return false;
    } catch (error) {
      await settledWithin(this.context.clock, this.drainMs, outcome);
      throw error;
    }
  }
}
