import { DiskError } from '../../../apps/server/src/engine/platform/disk.js';
import { type DiskEffect, type DiskFault } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { type Fate } from './fate.js';
import { type FaultProfile } from './profile.js';

/** How often each kind of fault has happened: a run that wanted faults and had none says so. */
export interface FaultCounts {
  powerCuts: number;
  kills: number;
  syncErrors: number;
  writeErrors: number;
  shortWrites: number;
  slowEffects: number;
  flushErrors: number;
  fullDisks: number;
  stalls: number;
  wallJumps: number;
}

export function noFaults(): FaultCounts {
  return {
    powerCuts: 0,
    kills: 0,
    syncErrors: 0,
    writeErrors: 0,
    shortWrites: 0,
    slowEffects: 0,
    flushErrors: 0,
    fullDisks: 0,
    stalls: 0,
    wallJumps: 0,
  };
}

/** The fate of every effect of the disk, by its process and its number in there. */
export class StorageFaults {
  isCalm = false;
  /** A write or a sync failed in the running process, which must stop. */
  isFatal = false;

  constructor(
    private readonly fate: Fate,
    private readonly profile: FaultProfile,
    private readonly counts: FaultCounts,
    /** What everything takes longer, in ms, on a disk that fails slowly. */
    private readonly grayMs: number,
  ) {}

  /** How long an effect takes, in ms. */
  latencyOf(process: number, effect: number): number {
    const gray = this.isCalm ? 0 : this.grayMs;
    const usual = 0.02 + gray + this.fate.below(400, 'latency', process, effect) / 1000;
    if (this.isCalm || !this.fate.chance(this.profile.slowEffectChance, 'slow', process, effect))
      return usual;
    this.counts.slowEffects++;
    return usual + this.fate.below(this.profile.slowEffectMs, 'slowness', process, effect);
  }

  /** What an effect may take longer than usual, in ms. */
  get slowestMs(): number {
    const { slowEffectChance, slowEffectMs } = this.profile;
    return this.grayMs + (slowEffectChance > 0 ? slowEffectMs : 0);
  }

  faultOf({ operation, length, number: effect }: DiskEffect, process: number): DiskFault | undefined {
    if (this.isCalm) return undefined;
    const { profile, fate } = this;
    if (operation === 'sync' && fate.chance(profile.syncErrorChance, 'sync error', process, effect)) {
      this.counts.syncErrors++;
      return { kind: 'error', code: 'EIO' };
    }
    if (operation !== 'write') return undefined;
    if (fate.chance(profile.writeErrorChance, 'write error', process, effect)) {
      this.counts.writeErrors++;
      return { kind: 'error', code: 'EIO' };
    }
    if (
      length !== undefined &&
      length > 1 &&
      fate.chance(profile.shortWriteChance, 'short write', process, effect)
    ) {
      this.counts.shortWrites++;
      return { kind: 'short', bytes: 1 + fate.below(length - 1, 'short length', process, effect) };
    }
    return undefined;
  }
}

/** Whether a member could not start because its disk was full. */
export function isNoSpace(error: unknown): boolean {
  if (error instanceof DiskError) return error.isNoSpace;
  return error instanceof Error && 'code' in error && error.code === 'no space';
}
