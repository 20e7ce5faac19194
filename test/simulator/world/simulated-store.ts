import { type AppliedMark } from '../../../apps/server/src/engine/backend/backend.js';
import {
  MemoryBackend,
  type MemoryBackendOptions,
  type PendingFlush,
} from '../../../apps/server/src/engine/backend/memory-backend.js';
import { type PlantedBug } from '../planted/planted-bug.js';
import { type Fate } from './fate.js';
import { type Profile } from './profile.js';
import { type Schedule } from './schedule.js';
import { type FaultCounts } from './storage-faults.js';

export interface SimulatedStoreParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly profile: Profile;
  readonly counts: FaultCounts;
  readonly planted: PlantedBug | undefined;
}

/** A process that has the store open. */
export interface StoreOwner {
  readonly number: number;
  /** Lets things pass while the process runs. */
  pass(run: () => void): void;
  /** No fault of the storage comes any more. */
  isCalm(): boolean;
  /** A flush failed: the process must stop. */
  failed(): void;
}

/** The store of one member over all its processes, with flushes that take time and may fail. */
export class SimulatedStore {
  private backend: MemoryBackend | undefined;
  private flushes = 0;

  /** @param place Keeps the fates of members apart. @param prefix Begins its lines of the trace. */
  constructor(
    private readonly parts: SimulatedStoreParts,
    private readonly place: number,
    private readonly prefix: string,
  ) {}

  /** The last entry that the store holds; 0 before it is opened. */
  get applied(): number {
    return this.backend?.applied.index ?? 0;
  }

  /** What a new process finds: some boundary between the last flush and the last entry. */
  async open(
    owner: StoreOwner,
    given: Pick<MemoryBackendOptions, 'clock' | 'states'>,
  ): Promise<MemoryBackend> {
    const { profile, planted, fate } = this.parts;
    const { generationRowsMax, generationAgeMs } = profile;
    const onFlush = (flush: PendingFlush): void => this.flush(owner, flush);
    const options: MemoryBackendOptions = { ...given, generationRowsMax, generationAgeMs, onFlush };
    const previous = this.backend;
    const draw = fate.draw('store', owner.number);
    if (previous === undefined) {
      this.backend = new MemoryBackend(options);
    } else {
      const byChance = (boundaries: readonly AppliedMark[]): number => draw.below(boundaries.length);
      const crash = (choose = byChance): MemoryBackend => previous.crash(choose, options);
      const empty = (): MemoryBackend => new MemoryBackend(options);
      this.backend = planted?.restart?.({ crash, empty }) ?? crash();
    }
    return MemoryBackend.recover(this.backend);
  }

  private flush(owner: StoreOwner, flush: PendingFlush): void {
    const { fate, profile, counts, schedule } = this.parts;
    const { flushMs, flushErrorChance } = profile.faults;
    const number = ++this.flushes;
    const delay = 0.1 + fate.below(flushMs * 1000, 'flush', this.place, number) / 1000;
    const done = (): void => {
      const fails = !owner.isCalm() && fate.chance(flushErrorChance, 'flush error', this.place, number);
      if (!fails) return flush.complete();
      counts.flushErrors++;
      if (flush.fail(new Error('simulated: the flush failed'))) owner.failed();
    };
    schedule.after(delay, `${this.prefix}store: flush to entry ${flush.mark.index}`, () => owner.pass(done));
  }
}
