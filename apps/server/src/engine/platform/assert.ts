/** Thrown by {@link assert}: an invariant of the program itself does not hold, so its state cannot be trusted any more. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/**
 * Stops the work at hand when an invariant does not hold. Assertions stay on in production: a member that finds one
 * broken stops (it never continues on a state it cannot explain). For bad input use a documented error instead.
 *
 * @throws AssertionError when `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(`invariant broken: ${message}`);
}
