import { type CommittedLog } from '../checks/committed-log.js';
import { type LeaseCheck } from '../checks/lease-check.js';
import { type Connection } from '../clients/connection.js';
import { disarmRequest } from '../clients/requests.js';
import { type Fate } from './fate.js';
import { type Member } from './member.js';
import { type Profile } from './profile.js';
import { type Schedule } from './schedule.js';
import { type FaultCounts } from './storage-faults.js';

export interface MachineTroubleParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly profile: Profile;
  readonly counts: FaultCounts;
  readonly members: readonly Member[];
  readonly log: CommittedLog;
  readonly leaseCheck: LeaseCheck;
  readonly operator: Connection;
}

/** What goes wrong with machines at a time of its own rather than at an effect of the disk: wall clocks, and full disks. */
export class MachineTrouble {
  constructor(private readonly parts: MachineTroubleParts) {}

  start(): void {
    const { fate, profile, members } = this.parts;
    const draw = fate.draw('trouble');
    const lengthMs = (profile.operations * profile.thinkMs) / profile.kvClients + 2_000;
    const member = members.length === 1 ? members[0] : members[fate.below(members.length, 'full disk', 0, 0)];
    if (profile.faults.wallJumps) this.jumpWalls(draw, lengthMs);
    if (profile.faults.fillsDisk) this.fillDisk(draw, lengthMs, member);
  }

  private jumpWalls(draw: ReturnType<Fate['draw']>, lengthMs: number): void {
    const { schedule, counts, members } = this.parts;
    for (let jump = 0; jump < 4; jump++) {
      const by = draw.pick([-3_600_000, -5_000, 2_000, 3_600_000]);
      schedule.after(draw.below(lengthMs), `the wall clock jumps by ${by} ms`, () => {
        counts.wallJumps++;
        members[jump % members.length].wallOffsetMs += by;
      });
    }
  }

  private fillDisk(draw: ReturnType<Fate['draw']>, lengthMs: number, member: Member): void {
    const { schedule, counts, profile } = this.parts;
    schedule.after(draw.below(lengthMs / 2), 'the disk is nearly full', () => {
      counts.fullDisks++;
      member.setCapacity(member.usedBytes + draw.below(2 * profile.segmentBytes));
    });
    schedule.after(lengthMs / 2 + draw.below(6_000), 'the disk has room again', () => this.makeRoom(member));
  }

  private makeRoom(member: Member): void {
    member.setCapacity(Number.POSITIVE_INFINITY);
    this.parts.leaseCheck.disturbed();
    this.disarm();
  }

  /** Disarms alarms of a full disk, to the end: one that was proposed in time may come late. */
  private disarm(): void {
    const { members, log, schedule, operator } = this.parts;
    const [alarm] = log.model.alarms.values();
    const isServed = members.some(({ engine }) => engine !== undefined);
    if (alarm !== undefined && isServed && !operator.isWaiting) operator.call(disarmRequest(alarm), () => {});
    schedule.after(1_500, 'the operator looks', () => this.disarm());
  }
}
