import { type SchedulerLike } from 'rxjs';
import { type Runtime } from '../runtime.js';

/** A runtime whose time is that of an RxJS scheduler, so that marble diagrams tell it. Jitter is always one half. */
export function schedulerRuntime(scheduler: SchedulerLike): Runtime {
  return {
    clock: {
      monotonic: () => scheduler.now(),
      wall: () => scheduler.now(),
      setTimer: (delayMs, callback) => {
        const subscription = scheduler.schedule(callback, delayMs);
        return { cancel: () => subscription.unsubscribe() };
      },
    },
    random: () => 0.5,
  };
}
