import { type Clock as ClientClock, type TransportFactory } from '@conclave/client';
import { type AppliedMark } from '../../../apps/server/src/engine/backend/backend.js';
import { type MemoryBackend } from '../../../apps/server/src/engine/backend/memory-backend.js';
import { type Clock } from '../../../apps/server/src/engine/platform/clock.js';
import { type Disk } from '../../../apps/server/src/engine/platform/disk.js';
import { type DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import { type Profile } from '../world/profile.js';

/**
 * A known mistake, put between the engine and its surroundings, so that the member behaves as if the mistake were its own. The simulator
 * must find each of them.
 */
export interface PlantedBug {
  readonly name: string;
  /** What a member with this mistake does, and where it happened before. */
  readonly story: string;
  /** In how many members it shows; 1 when not given. */
  readonly members?: number;
  /** What its world must be like; the rest is drawn. */
  readonly profile?: Partial<Profile>;
  /** Where the quick share begins to search, a little before a seed that shows it; 1 when not given. */
  readonly quickFrom?: number;
  /** The disk as the engine sees it. */
  disk?(disk: Disk): Disk;
  clock?(clock: Clock): Clock;
  /** The store as a restarted engine finds it. */
  restart?(restarted: RestartedStore): MemoryBackend;
  /** The files as a restarted engine finds them. */
  media?(files: DiskModel): void;
  /** Where a client resumes a watch. */
  resumeRevision?(next: number, headerRevision: number): number;
  /** The network as the production client sees it. */
  transports?(transports: TransportFactory, clock: ClientClock): TransportFactory;
}

/** Makes the store of the next process. */
export interface RestartedStore {
  /** Called once. `choose` gets the boundaries that may have survived, oldest first; chance decides when it is not given. */
  crash(choose?: (boundaries: readonly AppliedMark[]) => number): MemoryBackend;
  empty(): MemoryBackend;
}
