import { type Schedule } from './schedule.js';

/** Gap between two things that a process that goes on does about what happened meanwhile. */
const stepMs = 0.001;

/** Where everything that happens to a process passes: while the process is stopped (SIGSTOP) it waits there, in order. */
export class Gate {
  private held: (() => void)[] | undefined;
  private isHalted = false;

  constructor(private readonly schedule: Schedule) {}

  get isStopped(): boolean {
    return this.held !== undefined;
  }

  pass(run: () => void): void {
    if (this.isHalted) return;
    if (this.held === undefined) run();
    else this.held.push(run);
  }

  stop(): void {
    this.held ??= [];
  }

  /** The process goes on, with all that waited. */
  resume(): void {
    const { held = [] } = this;
    this.held = undefined;
    held.forEach((run, at) => this.schedule.after(at * stepMs, 'late', () => this.pass(run)));
  }

  /** The process is dead: nothing passes any more. */
  halt(): void {
    this.isHalted = true;
    this.held = undefined;
  }
}
