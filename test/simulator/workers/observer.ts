import { type LeaderInfo } from '@conclave/client';
import { type ObserverCheck } from '../checks/observer-check.js';
import { type Member } from '../world/member.js';
import { WorkerProcess, type WorkerMachine, type WorkerParts } from './worker-process.js';

/** Watches who leads, over all that happens to its connections. */
export class Observer {
  private process: WorkerProcess | undefined;

  constructor(
    private readonly parts: WorkerParts,
    private readonly machine: WorkerMachine,
    readonly check: ObserverCheck,
  ) {}

  start(): void {
    const process = new WorkerProcess(this.parts, this.machine, 1);
    this.process = process;
    const election = process.client.elections.election('/election', { raw: true });
    const fail = (error: unknown): void => this.parts.schedule.fail(error);
    const next = (leader: LeaderInfo | null): void => {
      try {
        this.take(leader);
      } catch (error) {
        fail(error);
      }
    };
    election.observe().subscribe({ next, error: fail });
  }

  broken(member: Member): void {
    this.process?.broken(member);
  }

  /** Ends it. */
  stop(): void {
    this.process?.kill();
  }

  private take(leader: LeaderInfo | null): void {
    if (leader === null) return this.check.take(null);
    const { key, text, term, revision } = leader;
    this.parts.schedule.note(`the observer sees "${text}" of term ${term} at ${revision}`);
    this.check.take({ key, text, term: Number(term), revision: Number(revision) });
  }
}
