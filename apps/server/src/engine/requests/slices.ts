import type { ProtocolError } from '@conclave/protocol';
import type { Clock } from '../platform/clock.js';
import { asProtocolError } from './decode.js';

/** Long work on local state: `step` does a part of it and gives the result once there is one. */
export interface SlicedWork<T> {
  step(): T | undefined;
  /** Asked between slices; work for a caller that is gone ends without a result. */
  isCancelled(): boolean;
  done(error: ProtocolError | undefined, result: T | undefined): void;
}

/** Does work slice by slice, one a turn, so that nobody waits for more than one of them. The first comes at once. */
export function inSlices<T>(clock: Clock, work: SlicedWork<T>): void {
  let result: T | undefined;
  try {
    result = work.step();
  } catch (error) {
    return work.done(asProtocolError(error), undefined);
  }
  if (result !== undefined) return work.done(undefined, result);
  clock.defer(() => {
    if (!work.isCancelled()) inSlices(clock, work);
  });
}
