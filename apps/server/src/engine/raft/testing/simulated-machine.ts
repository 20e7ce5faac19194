import { applyChange } from '../confchange/apply-change.js';
import { type ConfChange, decodeConfChange } from '../confchange/conf-change.js';
import { type ConfState, type Entry } from '../message.js';

/** All that a state machine knows after an index: a hash over every entry so far, and the configuration in force. */
export interface MachineState {
  readonly index: number;
  readonly term: number;
  readonly hash: number;
  readonly confState: ConfState;
}

/** What the state machine makes of a `config` entry: the change, or undefined when it refuses it (context of 1). */
export function decideChange(entry: Entry): ConfChange | undefined {
  const change = decodeConfChange(entry.data);
  return change.context[0] === 1 ? undefined : change;
}

/** The configuration after an entry. */
export function confStateAfter(confState: ConfState, entry: Entry): ConfState {
  const change = entry.kind === 'config' ? decideChange(entry) : undefined;
  const result = change === undefined ? undefined : applyChange(confState, change);
  return result === undefined || result.refused !== undefined ? confState : result.confState;
}

/** The state after one more entry. */
export function stateAfter(state: MachineState, entry: Entry, confState: ConfState): MachineState {
  let hash = Math.imul(state.hash, 31) + entry.term;
  for (const byte of entry.data) hash = Math.imul(hash, 31) + byte;
  return { index: entry.index, term: entry.term, hash: hash | 0, confState };
}

/** A state machine in memory and the file that it catches up with; a crash goes back to the file. */
export class SimulatedMachine {
  /** Every state from the durable one to the newest. */
  #states: MachineState[];

  constructor(confState: ConfState) {
    this.#states = [{ index: 0, term: 0, hash: 0, confState }];
  }

  get durable(): MachineState {
    return this.#states[0]!;
  }
  get newest(): MachineState {
    return this.#states[this.#states.length - 1]!;
  }

  apply(entry: Entry, confState: ConfState): void {
    this.#states.push(stateAfter(this.newest, entry, confState));
  }

  /** The file catches up by `count` entries. */
  flush(count: number): void {
    this.#states.splice(0, Math.min(count, this.#states.length - 1));
  }

  crash(): void {
    this.#states.length = 1;
  }

  /** A received state takes the place of all, durably. */
  replace(state: MachineState): void {
    this.#states = [state];
  }
}
