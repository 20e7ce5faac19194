/** One call as its client saw it. Times are of one clock that all clients share. */
export interface Call<Input, Output> {
  readonly client: number;
  readonly input: Input;
  /** Undefined: the answer was lost. The call may have its effect at any time after `calledAt`, or never. */
  readonly output: Output | undefined;
  readonly calledAt: number;
  /** Not before `calledAt`; infinite when the answer was lost. */
  readonly returnedAt: number;
}

/**
 * What the object would do if one call came after the other. States are immutable.
 */
export interface SequentialModel<State, Input, Output> {
  readonly initial: State;
  /**
   * The states in which a call may leave the object; none when it cannot have had that output there. More than one
   * where an output is not known.
   */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  /** Equal for equal states, and only for them. */
  nameOf(state: State): string;
  /**
   * What the output says of the place of its call: of two calls the one with the lower rank came first. Equal where it
   * says nothing.
   */
  rankOf(input: Input, output: Output): number;
  /** Whether a call without an output leaves everything as it is, whenever it comes. */
  isRead(input: Input): boolean;
}
