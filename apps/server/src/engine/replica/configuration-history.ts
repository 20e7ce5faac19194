import { assert } from '../platform/assert.js';
import type { ConfState } from '../raft/message.js';

/**
 * Which configuration was in force at which index, for states that are older than what is applied.
 *
 * Invariant: indexes ascend; the first one is at or before the oldest state that may still be asked for.
 */
export class ConfigurationHistory {
  private readonly changes: { readonly index: number; readonly confState: ConfState }[];

  constructor(index: number, confState: ConfState) {
    this.changes = [{ index, confState }];
  }

  /** A configuration came into force with the entry at `index`. */
  add(index: number, confState: ConfState): void {
    this.changes.push({ index, confState });
  }

  /** No state from before `index` is asked for any more. */
  forgetBefore(index: number): void {
    while (this.changes.length > 1 && this.changes[1].index <= index) this.changes.shift();
  }

  /** @throws AssertionError when it was forgotten: another one would give the receiver of a state other voters. */
  at(index: number): ConfState {
    let at = this.changes.length - 1;
    while (at > 0 && this.changes[at].index > index) at--;
    const { index: since, confState } = this.changes[at];
    assert(since <= index, `the configuration at index ${index} is known, not only from ${since} on`);
    return confState;
  }
}
