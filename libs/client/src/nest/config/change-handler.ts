import { type Subscription } from 'rxjs';
import { type ConfigChange, type ConfigRef, keysThatDiffer } from '../../config/config-ref.js';
import { type Clock, type Timer } from '../../runtime.js';

export interface ChangeHandlerOptions<C> {
  /** Only changes of these properties; undefined: of all. */
  readonly keys: readonly (keyof C)[] | undefined;
  readonly debounceMs: number;
  /** `latest`: while a call runs, or the debounce time passes, all changes become one. `all`: each has its own call. */
  readonly concurrency: 'latest' | 'all';
  readonly clock: Clock;
  /** Never rejects. */
  readonly call: (change: ConfigChange<C>) => Promise<void>;
}

/**
 * Hands the changes of a config class to a function, one call at a time.
 *
 * Invariants: calls are in the order of the releases and do not overlap; the `previous` of a call is the `current` of the one before,
 * or a value between that had no call because none of the `keys` changed; no call begins after `stop`.
 */
export class ChangeHandler<C extends object> {
  private readonly subscription: Subscription;
  private readonly waiting: ConfigChange<C>[] = [];
  /** The value up to which all was handed over or passed over. */
  private seen: Readonly<C>;
  private running: Promise<void> | undefined;
  private timer: Timer | undefined;
  private phase: 'held' | 'started' | 'stopped' = 'held';

  constructor(
    private readonly ref: ConfigRef<C>,
    private readonly options: ChangeHandlerOptions<C>,
  ) {
    this.seen = ref.value;
    this.subscription = ref.changes$.subscribe((change) => this.onChange(change));
  }

  /** Calls begin: with the value that is there, when `initial` is true. */
  start(initial: boolean): void {
    if (this.phase !== 'held') return;
    this.phase = 'started';
    if (initial) {
      const { value, revision } = this.ref;
      const changedKeys = Object.keys(value) as (keyof C)[];
      this.waiting.length = 0;
      this.seen = value;
      this.running = this.run({ previous: value, current: value, changedKeys, revision, cause: 'initial' });
    } else if (this.waiting.length > 0) this.due();
  }

  /** No call begins any more. Resolves when the one that runs has ended. */
  async stop(): Promise<void> {
    this.phase = 'stopped';
    this.subscription.unsubscribe();
    this.timer?.cancel();
    this.waiting.length = 0;
    await this.running;
  }

  private onChange(change: ConfigChange<C>): void {
    if (this.options.concurrency === 'latest') this.waiting.length = 0;
    this.waiting.push(change);
    if (this.phase === 'started') this.due();
  }

  private due(): void {
    const { debounceMs, clock } = this.options;
    if (debounceMs === 0) return this.proceed();
    this.timer?.cancel();
    this.timer = clock.setTimer(debounceMs, () => {
      this.timer = undefined;
      this.proceed();
    });
  }

  private proceed(): void {
    // What runs goes on with what waits by itself.
    this.running ??= this.run(undefined);
  }

  private async run(first: ConfigChange<C> | undefined): Promise<void> {
    // Everything that the release changes is in force before anybody is called.
    await Promise.resolve();
    let next = first ?? this.next();
    while (next !== undefined && this.phase === 'started') {
      await this.options.call(next);
      next = this.timer === undefined ? this.next() : undefined;
    }
    this.running = undefined;
  }

  private next(): ConfigChange<C> | undefined {
    const { keys } = this.options;
    for (let change = this.waiting.shift(); change !== undefined; change = this.waiting.shift()) {
      const previous = this.seen;
      this.seen = change.current;
      const changedKeys = keysThatDiffer(previous, change.current);
      const isAsked = changedKeys.some((key) => keys === undefined || keys.includes(key));
      if (isAsked) return { ...change, previous, changedKeys };
    }
    return undefined;
  }
}
