import { EventQueue, type SimulatedEvent } from './event-queue.js';
import { type Fate } from './fate.js';
import { type Trace } from './trace.js';
import { Violation } from './violation.js';

/** Events between two rounds of Node's event loop. */
const eventsPerLoopTurn = 10_000;

/** So many events in one simulated second are no work any more: members answer each other without end. */
const stormEvents = 200_000;

/** Simulated time: one queue of events. After each event all microtasks run; nothing else makes time pass. */
export class Schedule {
  /** Monotonic milliseconds since the start of the run. */
  now = 0;
  private readonly queue = new EventQueue();
  private order = 0;
  private failure: unknown;
  /** The simulated second that goes on, and its events so far. */
  private second = 0;
  private eventsOfSecond = 0;

  constructor(
    private readonly fate: Fate,
    private readonly trace: Trace,
    /** Events of one moment come in any order, not in that of their setting. */
    private readonly shufflesTies: boolean,
  ) {}

  /** Runs `run` after `delayMs`. */
  after(delayMs: number, label: string, run: () => void): SimulatedEvent {
    return this.push(delayMs, 0, label, run);
  }

  /** Runs `run` after everything else of that moment: as the end of a turn does. */
  atTurnEnd(delayMs: number, run: () => void): SimulatedEvent {
    return this.push(delayMs, 1, 'turn ends', run);
  }

  note(text: string): void {
    this.trace.note(this.now, text);
  }

  /** Stops the run with what went wrong, also when it is found where nobody would see an exception. */
  fail(reason: unknown): void {
    this.failure ??= reason;
  }

  /** Runs events until `isDone` or until `untilMs`. @throws what `fail` was called with, or an event threw. */
  async run(untilMs: number, isDone: () => boolean): Promise<boolean> {
    // What was called since the last event comes before the next one; also when the caller is itself in a tick, behind
    // which Node takes the other ticks first.
    await Promise.resolve();
    await microtasksDone();
    for (let events = 1; ; events++) {
      if (events % eventsPerLoopTurn === 0) await eventLoopTurns();
      if (this.failure !== undefined) throw this.failure as Error;
      if (isDone()) return true;
      const event = this.queue.pop();
      if (event === undefined) return false;
      if (event.cancelled) continue;
      if (event.time > untilMs) {
        this.queue.push(event);
        this.now = untilMs;
        return false;
      }
      this.now = event.time;
      this.countEvent();
      this.trace.note(event.time, event.label);
      event.run();
      await microtasksDone();
    }
  }

  private countEvent(): void {
    const second = Math.floor(this.now / 1_000);
    if (second !== this.second) this.eventsOfSecond = 0;
    this.second = second;
    if (++this.eventsOfSecond < stormEvents) return;
    throw new Violation(
      'R11',
      `${stormEvents} events within a simulated second: something repeats itself without end`,
    );
  }

  private push(delayMs: number, rank: number, label: string, run: () => void): SimulatedEvent {
    const order = ++this.order;
    const tie = this.shufflesTies && rank === 0 ? this.fate.at('tie', 0, order) : 0;
    const time = this.now + Math.max(0, delayMs);
    const event = { time, rank, tie, order, label, run, cancelled: false };
    this.queue.push(event);
    return event;
  }
}

/**
 * The only thing that the run waits for. A tick that is asked for in a microtask comes when the queue of microtasks is empty, and without a
 * round of the event loop, which would cost a system call per event.
 */
function microtasksDone(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** Lets the process have its signals, timers and messages. */
function eventLoopTurns(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
