import { drawNetwork, quietNetwork, type NetworkProfile } from '../network/network-profile.js';
import { drawWorkers, noWorkers, type WorkerProfile } from '../workers/worker-profile.js';
import { type Fate } from './fate.js';

/** What one run is made of: drawn per seed, so that every seed is another small world. */
export interface Profile {
  readonly operations: number;
  /** When clients stop although operations are left; the rest of a run is not bounded by it. */
  readonly lastsMs: number;
  readonly kvClients: number;
  readonly leaseClients: number;
  readonly watchClients: number;
  readonly keys: number;
  /** Mean pause of a client between two requests. */
  readonly thinkMs: number;
  /** Weights of what clients ask for. */
  readonly mix: Readonly<Record<OperationKind, number>>;
  readonly valueBytesMax: number;
  readonly leaseTtlSecondsMax: number;
  /** How often the leader stores what leases have left. */
  readonly leaseCheckpointSeconds: number;
  readonly segmentBytes: number;
  readonly batchBytes: number;
  readonly generationRowsMax: number;
  readonly generationAgeMs: number;
  readonly compactionRowsPerSlice: number;
  /** Periodic compaction by the member itself, 0 for none; then clients do not compact. */
  readonly autoCompactionMs: number;
  /** Mean pause between two questions for the hash of the history. */
  readonly auditEveryMs: number;
  readonly watchProgressIntervalMs: number;
  /** How many responses a watch client holds before it asks the member to wait. */
  readonly watchBuffer: number;
  readonly shufflesTies: boolean;
  readonly faults: FaultProfile;
  readonly members: number;
  /** The member whose disk takes `grayMs` longer for everything; 0 for none. */
  readonly grayMember: number;
  readonly grayMs: number;
  /** A member that died is started again within this time. */
  readonly downMs: number;
  /** Entries kept for members that lag; who lags further gets a whole state. */
  readonly retainedEntries: number;
  readonly network: NetworkProfile;
  /** Mean time between two things that somebody does to the cluster's members; 0 for never. */
  readonly administratorEveryMs: number;
  /** The share of that which is several changes at once. */
  readonly jointShare: number;
  readonly workers: WorkerProfile;
}

export type OperationKind =
  'put' | 'delete' | 'txn' | 'range' | 'readTxn' | 'compact' | 'timeToLive' | 'leases' | 'status';

/** Kinds of faults that are on, and how often they come. */
export interface FaultProfile {
  readonly crashes: number;
  /** Of the crashes, the share that cuts the power; the others kill the process only. */
  readonly powerShare: number;
  /** Chance that the crash after a restart comes within the first effects: during recovery. */
  readonly earlyCrashChance: number;
  /** Effects between two crashes, at most. */
  readonly crashSpread: number;
  readonly syncErrorChance: number;
  readonly writeErrorChance: number;
  readonly shortWriteChance: number;
  readonly slowEffectChance: number;
  readonly slowEffectMs: number;
  readonly flushMs: number;
  readonly flushErrorChance: number;
  /** The disk is full for a while, once. */
  readonly fillsDisk: boolean;
  readonly stallChance: number;
  readonly stallMs: number;
  readonly wallJumps: boolean;
}

/** A world in which nothing breaks, but for crashes that a test asks for. */
export const quietFaults: FaultProfile = {
  crashes: 0,
  powerShare: 0.5,
  earlyCrashChance: 0,
  crashSpread: 1,
  syncErrorChance: 0,
  writeErrorChance: 0,
  shortWriteChance: 0,
  slowEffectChance: 0,
  slowEffectMs: 0,
  flushMs: 5,
  flushErrorChance: 0,
  fillsDisk: false,
  stallChance: 0,
  stallMs: 0,
  wallJumps: false,
};

function drawFaults(fate: Fate): FaultProfile {
  const draw = fate.draw('profile of faults');
  const on = (share: number): boolean => draw.chance(share);
  return {
    crashes: on(0.9) ? draw.between(1, 5) : 0,
    powerShare: draw.pick([0, 0.5, 0.8, 1]),
    earlyCrashChance: draw.pick([0, 0.3, 0.6]),
    crashSpread: draw.pick([60, 150, 400]),
    syncErrorChance: on(0.3) ? 0.005 : 0,
    writeErrorChance: on(0.15) ? 0.003 : 0,
    shortWriteChance: on(0.3) ? 0.05 : 0,
    slowEffectChance: on(0.3) ? 0.02 : 0,
    slowEffectMs: draw.pick([20, 200, 1_500]),
    flushMs: draw.pick([1, 50, 400, 3_000]),
    flushErrorChance: on(0.1) ? 0.1 : 0,
    fillsDisk: on(0.15),
    stallChance: on(0.25) ? 0.01 : 0,
    stallMs: draw.pick([5, 60, 400]),
    wallJumps: on(0.3),
  };
}

export function drawProfile(fate: Fate): Profile {
  const draw = fate.draw('profile');
  const weight = (usual: number): number => (draw.chance(0.25) ? 0 : usual * draw.pick([1, 1, 3]));
  const autoCompactionMs = draw.chance(0.15) ? draw.pick([300, 1_000, 3_000]) : 0;
  return {
    operations: draw.pick([120, 200, 200, 280]),
    lastsMs: 300_000,
    kvClients: draw.between(1, 5),
    leaseClients: draw.between(0, 3),
    watchClients: draw.between(1, 4),
    keys: draw.between(1, 10),
    thinkMs: draw.pick([1, 10, 60, 150]),
    mix: {
      put: 30 * draw.pick([1, 1, 3]),
      delete: weight(10),
      txn: weight(15),
      range: 20,
      readTxn: weight(4),
      compact: autoCompactionMs > 0 ? 0 : weight(6),
      timeToLive: weight(4),
      leases: weight(2),
      status: 1,
    },
    valueBytesMax: draw.pick([8, 40, 700, 1_800]),
    leaseTtlSecondsMax: draw.between(1, 4),
    leaseCheckpointSeconds: 300,
    segmentBytes: draw.pick([4_096, 6_000, 16_384, 65_536]),
    batchBytes: draw.pick([4_096, 16_384, 65_536]),
    generationRowsMax: draw.pick([1, 5, 20, 100, 50_000]),
    generationAgeMs: draw.pick([20, 200, 2_000]),
    compactionRowsPerSlice: draw.pick([1, 2, 10, 2_000]),
    autoCompactionMs,
    auditEveryMs: 1_000,
    watchProgressIntervalMs: draw.pick([100, 1_000, 600_000]),
    watchBuffer: draw.pick([1, 2, 8, 1_000]),
    shufflesTies: draw.chance(0.5),
    faults: drawFaults(fate),
    members: 1,
    grayMember: 0,
    grayMs: 0,
    downMs: 400,
    retainedEntries: 5_000,
    network: quietNetwork,
    administratorEveryMs: 0,
    jointShare: 0,
    workers: noWorkers,
  };
}

/** The world of a cluster: that of one member, with more clients, fewer crashes of each member, and a network. */
export function drawClusterProfile(fate: Fate, members: number): Profile {
  const alone = drawProfile(fate);
  const draw = fate.draw('profile of a cluster');
  const crashes = draw.pick([0, 0, 1, 2]);
  const leases = fate.draw('profile of lease checkpoints');
  const isCheckpointed = leases.chance(0.35);
  return {
    ...alone,
    leaseTtlSecondsMax: isCheckpointed ? leases.between(2, 8) : alone.leaseTtlSecondsMax,
    leaseCheckpointSeconds: isCheckpointed ? 1 : alone.leaseCheckpointSeconds,
    operations: draw.pick([150, 300, 300, 600]),
    kvClients: draw.between(2, 7),
    thinkMs: draw.pick([5, 20, 60, 150]),
    faults: { ...alone.faults, crashes, crashSpread: draw.pick([100, 400, 1_500]) },
    members,
    grayMember: draw.chance(0.4) ? draw.between(1, members) : 0,
    grayMs: draw.pick([3, 20, 150]),
    downMs: draw.pick([100, 400, 3_000]),
    retainedEntries: draw.pick([0, 3, 30, 5_000]),
    network: drawNetwork(fate),
    administratorEveryMs: fate.draw('profile of the administrator').pick([0, 0, 400, 1_500, 4_000]),
    jointShare: fate.draw('profile of joint changes').pick([0, 0, 0.4]),
    workers: drawWorkers(fate),
  };
}

/** 20 simulated seconds of faults, and 1,000 operations unless nobody answers. What follows when nothing breaks any more is not in these. */
export const smallProfile: Partial<Profile> = {
  operations: 1_000,
  lastsMs: 20_000,
  kvClients: 10,
  thinkMs: 30,
};
