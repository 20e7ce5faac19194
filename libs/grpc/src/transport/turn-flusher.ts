import { type Runtime } from '../runtime.js';

/** Something whose output is written once per turn. */
export interface Flushable {
  flush(): void;
}

/**
 * Joins the output of one turn: whatever is scheduled during a turn, by any number of handlers, is flushed once at its
 * end. One system call per connection and turn is what makes many small answers cheap.
 */
export class TurnFlusher {
  #waiting: Flushable[] = [];
  #isArmed = false;
  readonly #run = (): void => this.#flushAll();

  constructor(private readonly runtime: Runtime) {}

  /** The caller sees to it that it is scheduled at most once until it is flushed. */
  schedule(flushable: Flushable): void {
    this.#waiting.push(flushable);
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.runtime.defer(this.#run);
  }

  #flushAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#isArmed = false;
    for (const flushable of waiting) flushable.flush();
  }
}
