import { assert } from '../assert.js';
import { type Clock, type Timer } from '../runtime.js';
import { type BatchCause } from '../watch/revision-batch.js';
import { isPast } from './past-revision.js';
import { type LoadedRelease } from './release-content.js';
import { type StoredRows } from './release-choice.js';

/** These namespaces must have been seen up to this revision before the state that needs it may be shown. */
export interface GateNeed {
  readonly members: readonly string[];
  readonly revision: bigint;
}

/** A release that was not applied. */
export interface Rejection {
  readonly message: string;
  /** 0n when not even that could be read. */
  readonly release: bigint;
  readonly sha256: string;
}

/** A namespace at a revision, ready to be shown. */
export interface NamespaceState {
  /** `app/namespace`. */
  readonly name: string;
  /** Everything up to it is in the state. */
  readonly revision: bigint;
  readonly cause: BatchCause;
  /** Undefined: nothing is released. */
  readonly release: LoadedRelease | undefined;
  /** The rows that `release` comes from. */
  readonly rows: StoredRows;
  /** The newest release, when it could not be read; `release` is the last good one then. */
  readonly rejected: Rejection | undefined;
  readonly needs: readonly GateNeed[];
}

export interface GateOptions {
  readonly clock: Clock;
  /** So long states wait for those that belong to them before these are asked for. */
  readonly holdMs: number;
  /**
   * Reads a namespace at a revision; it arrives as every state does. Undefined: as it is now, because what is known of it is of a store
   * that was replaced; it arrives with the cause `store-replaced`.
   */
  readonly catchUp: (name: string, revision: bigint | undefined) => void;
  /** Shows states, all at once. Of each namespace the newest. */
  readonly show: (states: readonly NamespaceState[]) => void;
}

interface Line {
  /** Arrived and not shown, by ascending revision. */
  queue: NamespaceState[];
  /** Of the newest state that arrived; 0n: none did. */
  position: bigint;
  /** The store that it is of, counted by replacements. */
  epoch: number;
}

/**
 * Holds what was released together until all of it is here: a release of several namespaces is shown in one piece or not yet.
 *
 * Invariants: within one line revisions ascend, and a resync may repeat one; of two states that need each other neither is shown
 * alone; what is queued is of the store of `epoch`; a timer is set exactly while anything is queued or a line is of an older store.
 * Namespaces that are not watched here are waited for by nobody.
 */
export class ReleaseGate {
  private readonly lines = new Map<string, Line>();
  private timer: Timer | undefined;
  /** Replacements of the store that any line told of. */
  private epoch = 0;

  constructor(private readonly options: GateOptions) {}

  watch(name: string): void {
    if (!this.lines.has(name)) this.lines.set(name, { queue: [], position: 0n, epoch: this.epoch });
  }

  /** Nothing more will arrive of it: nobody waits for it any longer. */
  leave(name: string): void {
    if (this.lines.delete(name)) this.settle();
  }

  close(): void {
    this.timer?.cancel();
    this.lines.clear();
  }

  arrived(state: NamespaceState): void {
    const line = this.lines.get(state.name);
    if (line === undefined) return;
    if (state.cause === 'store-replaced') {
      // The first to tell of a replacement makes everything else old; the others follow.
      if (line.epoch === this.epoch) this.beginEpoch();
      line.epoch = this.epoch;
      line.queue = [];
    } else if (line.epoch < this.epoch || isPast(state, line.position)) {
      return;
    }
    line.position = state.revision;
    line.queue.push(state);
    this.settle();
  }

  /** Revisions of another store cannot be compared with those before: what waits is dropped, and every line is read again. */
  private beginEpoch(): void {
    this.epoch += 1;
    for (const line of this.lines.values()) line.queue = [];
  }

  private settle(): void {
    const cuts = this.largestCuts();
    const shown: NamespaceState[] = [];
    let isHeld = false;
    for (const [name, line] of this.lines) {
      const cut = cuts.get(name) ?? 0;
      const newest = line.queue[cut - 1];
      if (newest !== undefined) shown.push(newest);
      line.queue = line.queue.slice(cut);
      if (line.queue.length > 0 || line.epoch < this.epoch) isHeld = true;
    }
    if (!isHeld) {
      this.timer?.cancel();
      this.timer = undefined;
    } else {
      this.timer ??= this.options.clock.setTimer(this.options.holdMs, () => this.onHeldTooLong());
    }
    if (shown.length > 0) this.options.show(shown);
  }

  /**
   * How many states of each line may be shown: the largest numbers for which every state that is shown finds all that it needs shown
   * too. Starts from everything and takes away what misses something, which may make others miss something.
   */
  private largestCuts(): Map<string, number> {
    const cuts = new Map([...this.lines].map(([name, line]) => [name, line.queue.length]));
    for (let changed = true; changed;) {
      changed = false;
      for (const [name, line] of this.lines) {
        const cut = cuts.get(name) ?? 0;
        const first = line.queue.slice(0, cut).findIndex((state) => !this.finds(state, cuts));
        if (first < 0) continue;
        cuts.set(name, first);
        changed = true;
      }
    }
    return cuts;
  }

  private finds(state: NamespaceState, cuts: ReadonlyMap<string, number>): boolean {
    return state.needs.every(({ members, revision }) =>
      members.every((member) => {
        const line = this.lines.get(member);
        if (member === state.name || line === undefined) return true;
        const next = line.queue[cuts.get(member) ?? 0];
        // What stays queued must be newer than what is needed.
        return (
          line.epoch === this.epoch &&
          line.position >= revision &&
          (next === undefined || next.revision > revision)
        );
      }),
    );
  }

  private onHeldTooLong(): void {
    this.timer = undefined;
    const lines = [...this.lines];
    const queued = lines.flatMap(([, line]) => line.queue);
    const replaced = lines.filter(([, line]) => line.epoch < this.epoch).map(([name]) => name);
    assert(queued.length + replaced.length > 0, 'the timer of the gate is set only while something is held');
    this.timer = this.options.clock.setTimer(this.options.holdMs, () => this.onHeldTooLong());
    const newest = queued.reduce((most, state) => (state.revision > most ? state.revision : most), 0n);
    for (const name of this.lateFor(queued)) this.options.catchUp(name, newest);
    for (const name of replaced) this.options.catchUp(name, undefined);
  }

  /** Those of the same store that have not come as far as they are needed. */
  private lateFor(queued: readonly NamespaceState[]): ReadonlySet<string> {
    const late = new Set<string>();
    for (const { members, revision } of queued.flatMap((state) => state.needs)) {
      for (const member of members) {
        const line = this.lines.get(member);
        if (line !== undefined && line.epoch === this.epoch && line.position < revision) late.add(member);
      }
    }
    return late;
  }
}
