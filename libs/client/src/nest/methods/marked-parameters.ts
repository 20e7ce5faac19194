import { type LockHandle } from '../../concurrency/mutex.js';

/** What our method decorators put into marked parameters. */
export interface MarkedParameters {
  readonly heldLock?: LockHandle | undefined;
  readonly leaderSignal?: AbortSignal;
  readonly stopSignal?: AbortSignal;
}

type Marks = Readonly<Record<number, keyof MarkedParameters>>;

const key = Symbol.for('@conclave/client/nest/parameters');

function mark(kind: keyof MarkedParameters): ParameterDecorator {
  return (target, method, index) => {
    // A constructor has no method name, and nothing to be given.
    if (method === undefined) return;
    const known = (Reflect.getOwnMetadata(key, target, method) ?? {}) as Marks;
    Reflect.defineMetadata(key, { ...known, [index]: kind }, target, method);
  };
}

/** The parameters of a method that are marked. Complete when the decorators of the method run, which is after those of parameters. */
export function markedParameters(
  target: object,
  method: string | symbol,
): readonly (readonly [number, keyof MarkedParameters])[] {
  const marks = (Reflect.getOwnMetadata(key, target, method) ?? {}) as Marks;
  return Object.entries(marks).map(([index, kind]) => [Number(index), kind]);
}

/** The parameter of a `@WithLock` method that gets the LockHandle; undefined when it runs without the lock. */
export function HeldLock(): ParameterDecorator {
  return mark('heldLock');
}

/**
 * The parameter of a `@LeaderOnly` or `@LeaderCron` method that gets `stopping` of the leadership: it aborts when it is time to come
 * to an end, while the last writes may still be guarded, or when the leadership is lost.
 */
export function LeaderSignal(): ParameterDecorator {
  return mark('leaderSignal');
}

/**
 * The parameter of a method with one of our decorators that gets an AbortSignal. It aborts when the method should come to its end:
 * the application shuts down and waits for it, or the lock or the leadership that it runs under is lost.
 */
export function StopSignal(): ParameterDecorator {
  return mark('stopSignal');
}
