import { type Duration, durationMs } from '../../duration.js';
import { InvalidArgumentError } from '../../errors.js';
import { leaseTimes } from '../../lease/leases.js';
import { type Skippable, wrapMethod } from '../methods/wrapped-method.js';
import { connectionsOf } from '../module/connections.js';
import { applicationOf } from '../shutdown/application.js';
import { LockedCall } from './locked-call.js';

export interface WithLockOptions {
  /** How long after the last sign of life of the holder the next one gets the lock; default 15 s, at least 2 s. */
  readonly ttl?: Duration;
  /** How long to wait for the lock; default `'forever'`, and 0 with `onBusy: 'throw'` or `'skip'`. */
  readonly wait?: Duration | 'forever';
  /**
   * When it is not free in that time: `wait` (default) and `throw` reject with LockTimeoutError, `wait` being the one that waits unless
   * `wait` says how long; `skip` leaves the method out, which gives undefined.
   */
  readonly onBusy?: 'wait' | 'throw' | 'skip';
  /**
   * When the store does not answer: `throw` (default) keeps the method from running; `run` runs it without the lock, which then
   * excludes nobody, and says so in the log. `run` needs a limited `wait`.
   */
  readonly onUnavailable?: 'throw' | 'run';
  /** After the lock is lost, how long the method may take to end before the call rejects; default 5 s. */
  readonly abortGrace?: Duration;
  /** The lock's name without the key prefix of the connection: the lock that `etcdctl lock NAME` takes. */
  readonly raw?: boolean;
  /** The connection; default `default`. */
  readonly connection?: string;
}

/** A method of a class `This` whose first arguments are `A`; with `onBusy: 'skip'` its type must say that it may give undefined. */
type LockedMethodDecorator<This, A extends readonly unknown[], O> = <
  M extends (...args: [...A, ...never[]]) => Promise<unknown>,
>(
  target: This,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M> & (O extends { readonly onBusy: 'skip' } ? Skippable<M> : unknown),
) => void;

/**
 * Runs an async method under a lock: at most one call over all instances at a time, in the order of asking, released when its promise
 * settles. {@link HeldLock} gives it the handle, {@link StopSignal} a signal to end by; `currentLock()` finds the handle in all that it
 * calls. When the lock is lost while it runs, the signals abort and the call rejects with LockLostError, also when the method returns
 * all the same.
 *
 * A call waits no longer than its request lives, when that is among the arguments (`@Req()`): CancelledError.
 *
 * A call rejects with LockTimeoutError, DeadlockError when the chain of calls holds the lock already, ClosedError when the application
 * shuts down, what the name function throws, or the error of a store that does not answer.
 *
 * @param lock the name, or a function of the arguments (its `this` is the instance).
 * @throws InvalidArgumentError, when the class is declared, for impossible options and for a method that returns no promise.
 */
export function WithLock<O extends WithLockOptions>(
  lock: string,
  options?: O,
): LockedMethodDecorator<unknown, [], O>;
export function WithLock<This, A extends readonly unknown[], O extends WithLockOptions>(
  lock: (this: This, ...args: A) => string,
  options?: O,
): LockedMethodDecorator<This, A, O>;
export function WithLock(
  lock: string | ((this: unknown, ...args: unknown[]) => string),
  options: WithLockOptions = {},
): LockedMethodDecorator<unknown, [], unknown> {
  const plan = lockPlan(options);
  return (target, key, descriptor) => {
    wrapMethod('@WithLock', target as object, key, descriptor, (call) => {
      const connections = connectionsOf(call.instance);
      const name = typeof lock === 'string' ? lock : lock.apply(call.instance, [...call.args]);
      const mutex = connections.client(plan.connection).locks.mutex(name, plan.lock);
      const { work } = applicationOf(connections);
      return work.track(new LockedCall(mutex, plan, call, work.stopping).run());
    });
  };
}

/** What is asked of a lock, with the defaults. */
export interface LockPlan {
  readonly lock: { readonly ttl?: Duration; readonly raw?: boolean };
  readonly run: { readonly wait: Duration | 'forever'; readonly abortGrace?: Duration };
  readonly onBusy: 'throw' | 'skip';
  readonly onUnavailable: 'throw' | 'run';
  readonly connection: string | undefined;
}

function lockPlan(options: WithLockOptions): LockPlan {
  const { ttl, raw, abortGrace, onBusy = 'wait', onUnavailable = 'throw', connection } = options;
  const { wait = onBusy === 'wait' ? 'forever' : 0 } = options;
  leaseTimes(ttl === undefined ? {} : { ttl });
  if (wait !== 'forever') durationMs(wait, 'wait');
  if (abortGrace !== undefined) durationMs(abortGrace, 'abortGrace');
  if (onUnavailable === 'run' && wait === 'forever') {
    throw new InvalidArgumentError(
      `onUnavailable: 'run' needs a limited wait, such as wait: '5s': a store that does not answer is waited for otherwise`,
    );
  }
  return {
    lock: { ...(ttl === undefined ? {} : { ttl }), ...(raw === undefined ? {} : { raw }) },
    run: { wait, ...(abortGrace === undefined ? {} : { abortGrace }) },
    onBusy: onBusy === 'skip' ? 'skip' : 'throw',
    onUnavailable,
    connection,
  };
}
