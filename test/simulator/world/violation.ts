/** A property of the specification does not hold: what the simulator is there to find. */
export class Violation extends Error {
  override readonly name = 'Violation';

  /** @param property Its code in the list of properties (K1 to K10, W1 to W11, E1 to E6, M1 to M6, L1 to L4, R1 to R13, S1 to S5). */
  constructor(
    readonly property: string,
    message: string,
  ) {
    super(`${property}: ${message}`);
  }
}

/** A member ended by itself without a reason. */
export function gaveUp(what: string, error: unknown): Violation {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Violation('S3', `the member ${what}: ${detail}`);
}
