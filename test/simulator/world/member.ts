import { createEngine, type Engine } from '../../../apps/server/src/engine/engine.js';
import { type EngineOptions } from '../../../apps/server/src/engine/engine-options.js';
import { type EnginePlatform } from '../../../apps/server/src/engine/engine-storage.js';
import { type AppliedMark } from '../../../apps/server/src/engine/backend/backend.js';
import { MemoryBackend, type PendingFlush } from '../../../apps/server/src/engine/backend/memory-backend.js';
import { DiskError } from '../../../apps/server/src/engine/platform/disk.js';
import { type Random } from '../../../apps/server/src/engine/platform/random.js';
import { SimulatedDisk, type DiskEffect } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import { NoPeers } from '../../../apps/server/src/engine/replica/peer-transport.js';
import { type CommittedLog } from '../checks/committed-log.js';
import { type PlantedBug } from '../planted/planted-bug.js';
import { type Fate } from './fate.js';
import { type Profile } from './profile.js';
import { type Schedule } from './schedule.js';
import { silentLogger, silentMeter } from './silence.js';
import { SimulatedClock } from './simulated-clock.js';
import { StorageFaults, type FaultCounts } from './storage-faults.js';
import { Violation } from './violation.js';

export const electionMs = 1_000;
const memberId = 0xa1n;
const directory = '/data';

/** What a member is built into. */
export interface MemberParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly profile: Profile;
  readonly log: CommittedLog;
  readonly counts: FaultCounts;
  readonly planted: PlantedBug | undefined;
  /** The effect of the first crash, when it is not to be left to chance. */
  readonly crashAt: number | undefined;
}

/** A process of the member: lives until it is killed, stops by itself or loses its power. */
interface Process {
  readonly number: number;
  readonly disk: SimulatedDisk;
  readonly clock: SimulatedClock;
  boot: bigint;
  engine: Engine | undefined;
  isServing: boolean;
}

/** The one member: starts it, breaks it, and starts it again. */
export class Member {
  crashes = 0;
  /** Disk effects of all processes. A crash comes at one of them. */
  effects = 0;
  wallOffsetMs = 0;
  /** Time since which the member has been serving, or since which it has not. */
  changedAt = 0;
  readonly faults: StorageFaults;
  /** The connections of clients broke. */
  onDown: (() => void) | undefined;
  onServing: (() => void) | undefined;
  private process: Process | undefined;
  private processes = 0;
  private files = new DiskModel();
  private store: MemoryBackend | undefined;
  private capacityBytes = Number.POSITIVE_INFINITY;
  private crashAt: number;
  private stalls = 0;
  private flushes = 0;

  constructor(private readonly parts: MemberParts) {
    this.faults = new StorageFaults(parts.fate, parts.profile.faults, parts.counts);
    this.crashAt = parts.crashAt ?? this.nextCrash(false);
  }

  /** The engine, for clients, while it serves. */
  get engine(): Engine | undefined {
    return this.process?.isServing === true ? this.process.engine : undefined;
  }

  /** Names the proposals of the running process. */
  get boot(): bigint {
    return this.process?.boot ?? 0n;
  }

  get generation(): number {
    return this.processes;
  }

  start(): void {
    const { parts } = this;
    const { schedule, fate } = parts;
    const number = ++this.processes;
    schedule.note(`process ${number} starts`);
    const clock = new SimulatedClock(
      schedule,
      () => this.wallOffsetMs,
      () => this.stall(),
    );
    const disk = new SimulatedDisk({
      schedule: (effect, callback) => this.scheduleEffect(number, effect, callback),
      random: fate.draw('disk', number),
      now: () => schedule.now,
      model: this.files,
      capacityBytes: this.capacityBytes,
    });
    const process: Process = {
      number,
      disk,
      clock,
      boot: 0n,
      engine: undefined,
      isServing: false,
    };
    this.process = process;
    this.changedAt = schedule.now;
    disk.onEffect = () => this.beforeEffect(process);
    disk.faultOf = (effect) => {
      const fault = this.faults.faultOf(effect, number);
      if (fault?.kind === 'error') this.mustStop(process);
      return fault;
    };
    this.faults.isFatal = false;
    createEngine(this.options(), this.platform(process), new NoPeers()).then(
      (engine) => this.opened(process, engine),
      (error: unknown) => this.refusedToStart(process, error),
    );
  }

  /** The process dies; with `power` the machine does, and what was not synced is at its mercy. */
  crash(kind: 'power' | 'kill' | 'stop'): void {
    const { process, parts } = this;
    if (process === undefined) return;
    const { fate, schedule, planted } = parts;
    this.process = undefined;
    this.changedAt = schedule.now;
    this.crashes++;
    schedule.note(`process ${process.number} ends: ${kind}`);
    process.clock.halt();
    process.disk.crash();
    const draw = fate.draw('crash', process.number);
    const style = draw.pick(['nothing', 'everything', 'mixed', 'mixed'] as const);
    const survives = (options: number): number => {
      if (style === 'nothing') return 0;
      return style === 'everything' ? options - 1 : draw.below(options);
    };
    const { model } = process.disk;
    this.files =
      kind === 'power' ? model.crash(survives, style === 'mixed' ? draw : undefined) : model.clone();
    planted?.media?.(this.files);
    if (kind === 'power') parts.counts.powerCuts++;
    else if (kind === 'kill') parts.counts.kills++;
    this.crashAt = this.nextCrash(true);
    this.onDown?.();
    schedule.after(draw.between(5, 400), 'process is started again', () => this.start());
  }

  /** Ends the process in order. */
  async close(): Promise<void> {
    const { process } = this;
    if (process?.engine === undefined) return;
    this.parts.schedule.note('process is closed');
    process.isServing = false;
    this.onDown?.();
    await process.engine.close();
    process.clock.halt();
    process.disk.crash();
    this.files = process.disk.model.clone();
    this.process = undefined;
  }

  /** From now on nothing breaks any more. */
  calmDown(): void {
    this.faults.isCalm = true;
    this.crashAt = Number.POSITIVE_INFINITY;
    this.setCapacity(Number.POSITIVE_INFINITY);
  }

  setCapacity(bytes: number): void {
    this.capacityBytes = bytes;
    if (this.process !== undefined) this.process.disk.capacityBytes = bytes;
  }

  /** Bytes of all files now. */
  get usedBytes(): number {
    return (this.process?.disk.model ?? this.files).usedBytes;
  }

  private nextCrash(isRestart: boolean): number {
    const { fate, profile } = this.parts;
    const { crashes, earlyCrashChance, crashSpread } = profile.faults;
    if (this.crashes >= crashes) return Number.POSITIVE_INFINITY;
    const draw = fate.draw('crash point', this.crashes);
    const spread = isRestart && draw.chance(earlyCrashChance) ? 30 : crashSpread;
    return this.effects + 1 + draw.below(spread);
  }

  private stall(): number {
    const { fate, profile, counts } = this.parts;
    const { stallChance, stallMs } = profile.faults;
    this.stalls++;
    if (this.faults.isCalm || !fate.chance(stallChance, 'stall', 0, this.stalls)) return 0;
    counts.stalls++;
    return fate.below(stallMs, 'stall time', 0, this.stalls);
  }

  private scheduleEffect(process: number, effect: DiskEffect, callback: () => void): void {
    const { operation, path, offset, length } = effect;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const place = offset === undefined ? '' : ` at ${offset}`;
    const size = length === undefined ? '' : ` of ${length}`;
    const latency = this.faults.latencyOf(process, effect.number);
    this.parts.schedule.after(latency, `disk: ${operation} ${name}${place}${size}`, callback);
  }

  private beforeEffect(process: Process): void {
    this.effects++;
    if (this.effects < this.crashAt || process !== this.process) return;
    const { fate, profile } = this.parts;
    const isPower = fate.chance(profile.faults.powerShare, 'power', 0, this.effects);
    this.crash(isPower ? 'power' : 'kill');
  }

  private options(): EngineOptions {
    const { profile } = this.parts;
    return {
      directory,
      name: 'simulated',
      clusterId: 0xc1n,
      memberId,
      peerUrls: ['http://127.0.0.1:2380'],
      clientUrls: ['http://127.0.0.1:2379'],
      heartbeatMs: 100,
      electionMs,
      limits: {
        maxRequestBytes: 1_572_864,
        maxTxnOps: 128,
        quotaBackendBytes: 0,
        minLeaseTtlSeconds: 1,
      },
      autoCompaction: { mode: 'periodic', retention: profile.autoCompactionMs },
      compactionRowsPerSlice: profile.compactionRowsPerSlice,
      watchProgressIntervalMs: profile.watchProgressIntervalMs,
      walSegmentBytes: profile.segmentBytes,
      walBatchBytes: profile.batchBytes,
    };
  }

  private platform(process: Process): EnginePlatform {
    const { planted, fate, log } = this.parts;
    const { clock, disk } = process;
    return {
      clock: planted?.clock?.(clock) ?? clock,
      disk: planted?.disk?.(disk) ?? disk,
      random: this.random(process, fate.draw('engine', process.number)),
      logger: silentLogger,
      meter: silentMeter,
      openBackend: () => Promise.resolve(this.openStore(process)),
      lockDirectory: () => Promise.resolve({ release: () => Promise.resolve() }),
      onApplied: (entry, result) => {
        this.check(() => log.applied(entry, result));
      },
    };
  }

  /** The first 64-bit draw of a process names its proposals. */
  private random(process: Process, draw: Random): Random {
    return {
      below: (bound) => draw.below(bound),
      uint64: () => {
        const value = draw.uint64();
        if (process.boot === 0n) process.boot = value;
        return value;
      },
    };
  }

  private openStore(process: Process): MemoryBackend {
    const { profile, planted, fate, log } = this.parts;
    const options = {
      clock: process.clock,
      generationRowsMax: profile.generationRowsMax,
      generationAgeMs: profile.generationAgeMs,
      onFlush: (flush: PendingFlush) => this.flush(process, flush),
    };
    const previous = this.store;
    const draw = fate.draw('store', process.number);
    if (previous === undefined) {
      this.store = new MemoryBackend(options);
    } else {
      const byChance = (boundaries: readonly AppliedMark[]): number => draw.below(boundaries.length);
      const crash = (choose = byChance): MemoryBackend => previous.crash(choose, options);
      const empty = (): MemoryBackend => new MemoryBackend(options);
      this.store = planted?.restart?.({ crash, empty }) ?? crash();
    }
    this.check(() => log.restarted(this.store!.applied.index));
    return this.store;
  }

  private flush(process: Process, flush: PendingFlush): void {
    const { fate, profile, counts, schedule } = this.parts;
    const number = ++this.flushes;
    const delay = 0.1 + fate.below(profile.faults.flushMs * 1000, 'flush', 0, number) / 1000;
    schedule.after(delay, `store: flush to entry ${flush.mark.index}`, () => {
      if (process !== this.process) return;
      if (!this.faults.isCalm && fate.chance(profile.faults.flushErrorChance, 'flush error', 0, number)) {
        counts.flushErrors++;
        this.faults.isFatal = true;
        this.mustStop(process);
        flush.fail(new Error('simulated: the flush failed'));
      } else {
        flush.complete();
      }
    });
  }

  /** S3: after a failure of its storage a member stops at once; it never goes on. */
  private mustStop(process: Process): void {
    this.parts.schedule.after(2_000, 'the process must have stopped', () => {
      if (process !== this.process) return;
      this.parts.schedule.fail(new Violation('S3', 'the member goes on although its storage failed'));
    });
  }

  private opened(process: Process, engine: Engine): void {
    if (process !== this.process) return;
    process.engine = engine;
    this.parts.schedule.note(`process ${process.number} has opened its storage`);
    void engine.failed.then((error) => this.failed(process, error));
    void engine.ready.then(() => this.ready(process));
  }

  private ready(process: Process): void {
    if (process !== this.process) return;
    process.isServing = true;
    this.changedAt = this.parts.schedule.now;
    this.parts.schedule.note(`process ${process.number} serves`);
    this.check(() => this.parts.log.serving());
    this.onServing?.();
  }

  /** A process may give up when its storage failed, and only then. */
  private failed(process: Process, error: Error): void {
    if (process !== this.process) return;
    this.parts.schedule.note(`process ${process.number} gives up: ${error.message}`);
    if (!this.faults.isFatal) this.parts.schedule.fail(gaveUp('gave up although its storage works', error));
    this.crash('stop');
  }

  private refusedToStart(process: Process, error: unknown): void {
    if (process !== this.process) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.parts.schedule.note(`process ${process.number} does not start: ${reason}`);
    const isFull = Number.isFinite(this.capacityBytes) && isNoSpace(error);
    if (isFull) this.setCapacity(Number.POSITIVE_INFINITY);
    else if (!this.faults.isFatal) this.parts.schedule.fail(gaveUp('does not start again', error));
    this.crash('stop');
  }

  private check(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.parts.schedule.fail(error);
    }
  }
}

function isNoSpace(error: unknown): boolean {
  if (error instanceof DiskError) return error.isNoSpace;
  return error instanceof Error && 'code' in error && error.code === 'no space';
}

function gaveUp(what: string, error: unknown): Violation {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Violation('S3', `the member ${what}: ${detail}`);
}
