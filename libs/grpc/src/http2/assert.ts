/** Thrown by {@link assert}: an invariant of the connection core does not hold. It is a defect of this program. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * States an invariant; stays on in production. Input of the peer is never checked with it.
 *
 * @throws InvariantError when `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(`invariant broken: ${message}`);
}
