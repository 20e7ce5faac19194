import { defer, Observable, ReplaySubject, share, tap } from 'rxjs';
import { type Clock } from '../runtime.js';

interface SharedState {
  readonly prefix: string;
  readonly options: object;
  readonly view$: Observable<unknown>;
}

/**
 * The states that are in use, so that all who ask for the same one share its watch.
 *
 * Invariant: what is in `inUse` has a subscription to its source, or is just getting one.
 */
export class SharedStates {
  private readonly inUse = new Set<SharedState>();

  constructor(private readonly clock: Clock) {}

  /**
   * Shares `source$` among all subscribers of this prefix with options of the same values. It ends `keepWarmMs` after the last one
   * has left. An error goes to those who are subscribed; the next subscriber begins anew.
   */
  share<V>(prefix: string, options: object, keepWarmMs: number, source$: Observable<V>): Observable<V> {
    return defer(() => {
      const found = [...this.inUse].find((one) => one.prefix === prefix && isSame(one.options, options));
      return (found ?? this.begin(prefix, options, keepWarmMs, source$)).view$ as Observable<V>;
    });
  }

  private begin<V>(prefix: string, options: object, keepWarmMs: number, source$: Observable<V>): SharedState {
    const warm$ = new Observable<void>((subscriber) => {
      const timer = this.clock.setTimer(keepWarmMs, () => subscriber.next());
      return () => timer.cancel();
    });
    const forget = (): boolean => this.inUse.delete(shared);
    const view$ = source$.pipe(
      tap({ finalize: forget }),
      share({ connector: () => new ReplaySubject<V>(1), resetOnRefCountZero: () => warm$ }),
    );
    const shared: SharedState = { prefix, options, view$ };
    this.inUse.add(shared);
    return shared;
  }
}

function isSame(a: object, b: object): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => Reflect.get(a, name) === Reflect.get(b, name));
}
