import { ObserverCheck } from '../checks/observer-check.js';
import { HolderCheck } from '../checks/holder-check.js';
import { type Draw } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { ClientPath, type PathCounts } from './client-path.js';
import { Observer } from './observer.js';
import { guardedKey, Worker } from './worker.js';
import { type WorkerMachine, type WorkerParts } from './worker-process.js';
import { type WorkerProfile } from './worker-profile.js';

/** How often each thing happened to workers, and what they did. */
export interface WorkerCounts extends PathCounts {
  workerPauses: number;
  workerDeaths: number;
  workerClockJumps: number;
  /** How often somebody came to hold the lock, or to lead. */
  holderTurns: number;
  /** Leaders and proclamations that the observer was told of. */
  leadersSeen: number;
}

export function noWork(): WorkerCounts {
  return {
    clientClogs: 0,
    workerPauses: 0,
    workerDeaths: 0,
    workerClockJumps: 0,
    holderTurns: 0,
    leadersSeen: 0,
  };
}

export interface WorkforceParts extends WorkerParts {
  readonly profile: WorkerProfile;
  /** How far clocks run apart, as a share of time. */
  readonly clockDrift: number;
  readonly counts: WorkerCounts;
}

/** All workers of a world and the one that observes their election, with what goes wrong for them. */
export class Workforce {
  readonly lock: HolderCheck;
  readonly election: HolderCheck;
  readonly observer: Observer;
  private readonly workers: readonly Worker[];
  private readonly paths: ClientPath[] = [];
  private isCalm = false;
  private strokes = 0;

  constructor(private readonly parts: WorkforceParts) {
    const { log, profile } = parts;
    this.lock = new HolderCheck(log, 'the lock', '/lock/', guardedKey);
    this.election = new HolderCheck(log, 'the election', '/election/', undefined);
    const { lock, election } = this;
    const numbers = Array.from({ length: profile.workers }, (_, at) => 51 + at);
    this.workers = numbers.map(
      (number) => new Worker(parts, { profile, lock, election }, this.machine(number)),
    );
    this.observer = new Observer(parts, this.machine(50), new ObserverCheck(log));
  }

  start(): void {
    for (const worker of this.workers) worker.start();
    this.observer.start();
    if (this.parts.profile.troubleEveryMs > 0) this.strikeLater();
  }

  broken(member: Member): void {
    for (const worker of this.workers) worker.broken(member);
    this.observer.broken(member);
  }

  get areOver(): boolean {
    return this.workers.every(({ isOver }) => isOver);
  }

  /** The observer has been told that nobody leads any more. */
  get isObserved(): boolean {
    return this.observer.check.last === null;
  }

  /** All have left: what they did is judged as a whole. */
  end(): void {
    this.observer.stop();
    for (const check of [this.lock, this.election]) check.checkWrites();
  }

  count(): WorkerCounts {
    const holderTurns = this.lock.turns + this.election.turns;
    return { ...this.parts.counts, holderTurns, leadersSeen: this.observer.check.seen };
  }

  /** Nothing breaks any more; everybody has one more turn. */
  finish(): void {
    this.isCalm = true;
    for (const path of this.paths) path.isCalm = true;
    for (const worker of this.workers) {
      worker.process?.gate.resume();
      if (worker.process === undefined) worker.start();
      worker.finish();
    }
  }

  private machine(number: number): WorkerMachine {
    const { parts } = this;
    const { fate, profile, clockDrift } = parts;
    const draw = fate.draw('clock', number);
    const path = new ClientPath(parts, parts.counts, number, profile.clogChance, profile.clogMs);
    this.paths.push(path);
    const clock = { offsetMs: draw.below(1_000_000), rate: 1 + clockDrift * (draw.next() - 0.5) };
    return { number, path, clock, wallOffsetMs: 0 };
  }

  private strikeLater(): void {
    const { fate, schedule, profile } = this.parts;
    const draw = fate.draw('trouble of workers', 0, ++this.strokes);
    schedule.after(draw.below(2 * profile.troubleEveryMs), 'trouble for a worker', () => {
      if (this.isCalm) return;
      this.strike(draw);
      this.strikeLater();
    });
  }

  private strike(draw: Draw): void {
    const { schedule, counts } = this.parts;
    const worker = draw.pick(this.workers);
    const { process, machine } = worker;
    if (process === undefined) return;
    const point = draw.next();
    if (point < 0.55) {
      counts.workerPauses++;
      process.gate.stop();
      const resume = (): void => process.gate.resume();
      schedule.after(draw.below(5_000), `worker ${machine.number} goes on`, resume);
    } else if (point < 0.8) {
      counts.workerDeaths++;
      worker.kill();
      schedule.after(draw.between(5, 1_500), 'a worker may start', () => {
        if (worker.process === undefined) worker.start();
      });
    } else {
      counts.workerClockJumps++;
      machine.wallOffsetMs += draw.pick([-3_600_000, -1_500, 700, 3_600_000]);
    }
  }
}
