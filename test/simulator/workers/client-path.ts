import { type Gate } from '../world/gate.js';
import { type ClientParts } from '../clients/connection.js';

/** How often the way to a member has stood still. */
export interface PathCounts {
  clientClogs: number;
}

/**
 * The way between one client and one member: it delays what passes, keeps the order of what belongs together, and stands still for a
 * while at times, so that everything on it comes late.
 */
export class ClientPath {
  /** From now on it only delays. */
  isCalm = false;
  private passed = 0;
  private clearAt = 0;

  constructor(
    private readonly parts: Pick<ClientParts, 'fate' | 'schedule'>,
    private readonly counts: PathCounts,
    private readonly client: number,
    private readonly clogChance: number,
    private readonly clogMs: number,
  ) {}

  /** True time at which something that leaves now arrives, not before `earliest`. */
  arrival(earliest = 0): number {
    const { fate, schedule } = this.parts;
    const number = ++this.passed;
    if (!this.isCalm && fate.chance(this.clogChance, 'client clog', this.client, number)) {
      this.counts.clientClogs++;
      this.clearAt = schedule.now + fate.below(this.clogMs, 'client clog time', this.client, number);
    }
    const delay = fate.below(3_000, 'client path', this.client, number) / 1000;
    const opensAt = this.isCalm ? 0 : this.clearAt;
    return Math.max(schedule.now + delay, opensAt, earliest);
  }

  /** Calls back at a true time. */
  at(time: number, label: string, run: () => void, gate?: Gate): void {
    const { schedule } = this.parts;
    schedule.after(time - schedule.now, label, () => (gate === undefined ? run() : gate.pass(run)));
  }
}
