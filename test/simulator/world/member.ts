import { createEngine, type Engine } from '../../../apps/server/src/engine/engine.js';
import { type EnginePlatform } from '../../../apps/server/src/engine/engine-storage.js';
import { type Backend } from '../../../apps/server/src/engine/backend/backend.js';
import { SimulatedDisk, type DiskEffect } from '../../../apps/server/src/engine/platform/simulated-disk.js';
import { DiskModel } from '../../../apps/server/src/engine/platform/simulated-disk-model.js';
import { NoPeers, type PeerTransport } from '../../../apps/server/src/engine/replica/peer-transport.js';
import { foundingIndex } from '../checks/committed-log.js';
import { MemberLog } from '../checks/member-log.js';
import { SimulatedTransport } from '../network/simulated-transport.js';
import { spoolDirectory } from '../network/state-transfer.js';
import { engineOptions } from './engine-settings.js';
import { watchBoot } from './boot.js';
import { Gate } from './gate.js';
import { type MemberParts, type Process } from './member-parts.js';
import { CrashPoints } from './crash-points.js';
import { silentLogger, silentMeter } from './silence.js';
import { SimulatedClock } from './simulated-clock.js';
import { SimulatedStore, type StoreOwner } from './simulated-store.js';
import { isNoSpace, StorageFaults } from './storage-faults.js';
import { gaveUp, Violation } from './violation.js';

/** One member: starts it, breaks it, and starts it again. */
export class Member {
  wallOffsetMs = 0;
  /** Why no process of it runs any more: the cluster removed it, or its disk was lost and with it all that it had promised. */
  gone: 'removed' | 'wiped' | undefined;
  readonly points: CrashPoints;
  readonly faults: StorageFaults;
  readonly log: MemberLog;
  /** The connections of clients broke. */
  onDown: (() => void) | undefined;
  onServing: (() => void) | undefined;
  private process: Process | undefined;
  private processes = 0;
  private files = new DiskModel();
  private readonly store: SimulatedStore;
  private capacityBytes = Number.POSITIVE_INFINITY;
  /** The disk has had a limit while the process ran, though there may be room by now. */
  private wasLimited = false;
  private stalls = 0;
  /** Keeps the fates of members apart. */
  private readonly place: number;

  constructor(private readonly parts: MemberParts) {
    this.place = (parts.identity.number - 1) << 16;
    this.store = new SimulatedStore(parts, this.place, this.prefix);
    this.log = new MemberLog(parts.log, () => this.store.applied);
    const { profile, identity } = parts;
    const grayMs = profile.grayMember === identity.number ? profile.grayMs : 0;
    this.faults = new StorageFaults(parts.fate, parts.profile.faults, parts.counts, grayMs);
    this.points = new CrashPoints(parts.fate, profile.faults, this.place, parts.crashAt);
  }

  /** The engine, for clients, while it serves. */
  get engine(): Engine | undefined {
    return this.process?.isServing === true ? this.process.engine : undefined;
  }

  get number(): number {
    return this.parts.identity.number;
  }

  get id(): bigint {
    return this.parts.identity.id;
  }

  /** The cluster counts on it, and rightly. */
  get isMember(): boolean {
    return this.gone === undefined && this.parts.log.configuration.has(this.id);
  }

  /** It has begun with the members, or has had a state of theirs. */
  get knowsCluster(): boolean {
    return this.parts.isFounder || this.log.applied > foundingIndex;
  }

  get isVoter(): boolean {
    return this.isMember && this.parts.log.configuration.voters.has(this.id);
  }

  /** A process runs, though it may not serve yet, or be stopped. */
  get isUp(): boolean {
    return this.process !== undefined;
  }

  /** Does to the running process what comes from outside: now, or when it is no longer stopped. */
  enter(run: () => void): void {
    this.process?.gate.pass(run);
  }

  /** SIGSTOP. */
  stop(): void {
    this.process?.gate.stop();
  }

  /** SIGCONT. */
  resume(): void {
    if (this.process?.gate.isStopped !== true) return;
    this.parts.schedule.note(`${this.prefix}process ${this.processes} goes on`);
    this.process.gate.resume();
  }

  /** Names the proposals of the running process. */
  get boot(): bigint {
    return this.process?.boot ?? 0n;
  }

  get generation(): number {
    return this.processes;
  }

  start(): void {
    if (this.gone !== undefined) return;
    const { parts } = this;
    const { schedule, fate } = parts;
    const number = this.place + ++this.processes;
    schedule.note(`${this.prefix}process ${this.processes} starts`);
    this.wasLimited = Number.isFinite(this.capacityBytes);
    const gate = new Gate(schedule);
    const clock = new SimulatedClock(
      schedule,
      gate,
      parts.clock,
      () => this.wallOffsetMs,
      () => this.stall(),
    );
    const disk = new SimulatedDisk({
      schedule: (effect, callback) => this.scheduleEffect(number, effect, () => gate.pass(callback)),
      random: fate.draw('disk', number),
      now: () => schedule.now,
      model: this.files,
      capacityBytes: this.capacityBytes,
    });
    const process: Process = {
      number,
      disk,
      clock,
      gate,
      transport: this.transport(number, gate, disk),
      boot: 0n,
      engine: undefined,
      isServing: false,
    };
    this.process = process;
    disk.onEffect = () => this.beforeEffect(process);
    disk.faultOf = (effect) => {
      if (effect.path.startsWith(spoolDirectory)) return undefined;
      const fault = this.faults.faultOf(effect, number);
      // A state that is copied for another member is thrown away when it cannot be written.
      if (fault?.kind === 'error' && !effect.path.includes('/spool/')) {
        this.faults.isFatal = true;
        this.mustStop(process);
      }
      return fault;
    };
    this.faults.isFatal = false;
    const options = engineOptions(
      parts.profile,
      parts.identity,
      parts.isFounder ? parts.identities.founders : [],
    );
    const transport: PeerTransport = process.transport ?? new NoPeers();
    createEngine(options, this.platform(process), transport).then(
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
    schedule.note(`${this.prefix}process ${this.processes} ends: ${kind}`);
    process.gate.halt();
    process.disk.crash();
    const draw = fate.draw('crash', process.number);
    const style = draw.pick(['nothing', 'everything', 'mixed', 'mixed'] as const);
    const survives = (options: number): number => {
      if (style === 'nothing') return 0;
      return style === 'everything' ? options - 1 : draw.below(options);
    };
    const { model } = process.disk;
    // The dead process does nothing to its files any more.
    this.files = kind === 'power' ? model.crash(survives, style === 'mixed' ? draw : undefined) : model;
    planted?.media?.(this.files);
    if (kind === 'power') parts.counts.powerCuts++;
    else if (kind === 'kill') parts.counts.kills++;
    this.points.crashed();
    if (process.transport !== undefined) parts.network?.detach(process.transport, kind !== 'power');
    this.onDown?.();
    schedule.after(
      draw.between(5, parts.profile.downMs),
      `${this.prefix}process ${this.processes} is started again`,
      () => this.start(),
    );
  }

  /** The machine is lost with its disk. Who starts a member on another one is told to add it anew, so nobody does. */
  wipe(): void {
    this.gone = 'wiped';
    this.crash('power');
    this.files = new DiskModel();
  }

  /** Somebody ends the process of a member that was removed and was not told. */
  retire(): void {
    this.gone = 'removed';
    this.crash('stop');
  }

  /** Ends the process in order. */
  async close(): Promise<void> {
    const { process } = this;
    if (process?.engine === undefined) return;
    this.parts.schedule.note(`${this.prefix}process ${this.processes} is closed`);
    process.isServing = false;
    this.onDown?.();
    await process.engine.close();
    process.gate.halt();
    process.disk.crash();
    this.files = process.disk.model;
    this.process = undefined;
  }

  /** From now on nothing breaks any more. */
  calmDown(): void {
    this.faults.isCalm = true;
    this.points.isCalm = true;
    this.setCapacity(Number.POSITIVE_INFINITY);
  }

  setCapacity(bytes: number): void {
    this.capacityBytes = bytes;
    if (Number.isFinite(bytes)) this.wasLimited = true;
    if (this.process !== undefined) this.process.disk.capacityBytes = bytes;
  }

  /** Bytes of all files now. */
  get usedBytes(): number {
    return (this.process?.disk.model ?? this.files).usedBytes;
  }

  /** Before the lines of the trace that would be everybody's. */
  private get prefix(): string {
    return this.parts.network === undefined ? '' : `${this.parts.identity.name} `;
  }

  private transport(process: number, gate: Gate, disk: SimulatedDisk): SimulatedTransport | undefined {
    const { network, identity, identities, schedule } = this.parts;
    if (network === undefined) return undefined;
    return new SimulatedTransport({
      schedule,
      network,
      gate,
      disk,
      process,
      member: identity.number,
      identities,
      // Only a first start is told of others; later ones know them from their store, or wait to be called.
      acquainted: this.processes === 1 ? this.acquaintances : [],
      onState: (index) => this.log.received(index),
    });
  }

  private get acquaintances(): bigint[] {
    const { log, identities } = this.parts;
    return identities.all.map(({ id }) => id).filter((id) => id !== this.id && log.configuration.has(id));
  }

  private stall(): number {
    const { fate, profile, counts } = this.parts;
    const { stallChance, stallMs } = profile.faults;
    this.stalls++;
    if (this.faults.isCalm || !fate.chance(stallChance, 'stall', this.place, this.stalls)) return 0;
    counts.stalls++;
    return fate.below(stallMs, 'stall time', this.place, this.stalls);
  }

  private scheduleEffect(process: number, effect: DiskEffect, callback: () => void): void {
    const { operation, path, offset, length } = effect;
    const name = path.slice(path.lastIndexOf('/') + 1);
    const place = offset === undefined ? '' : ` at ${offset}`;
    const size = length === undefined ? '' : ` of ${length}`;
    const latency = this.faults.latencyOf(process, effect.number);
    this.parts.schedule.after(latency, `${this.prefix}disk: ${operation} ${name}${place}${size}`, callback);
  }

  private beforeEffect(process: Process): void {
    if (!this.points.isDue() || process !== this.process) return;
    this.crash(this.points.cutsPower ? 'power' : 'kill');
  }

  private platform(process: Process): EnginePlatform {
    const { planted, fate } = this.parts;
    const { clock, disk } = process;
    return {
      clock: planted?.clock?.(clock) ?? clock,
      disk: planted?.disk?.(disk) ?? disk,
      random: watchBoot(fate.draw('engine', process.number), (boot) => (process.boot = boot)),
      logger: silentLogger,
      meter: silentMeter,
      openBackend: (directory) => this.openStore(process, directory),
      lockDirectory: () => Promise.resolve({ release: () => Promise.resolve() }),
      onApplied: (entry, result) => {
        this.check(() => this.log.appliedEntry(entry, result));
      },
    };
  }

  private async openStore(process: Process, directory: string): Promise<Backend> {
    const { clock, disk, gate, number } = process;
    const owner: StoreOwner = {
      number,
      pass: (run) => gate.pass(run),
      isCalm: () => this.faults.isCalm,
      failed: () => {
        this.faults.isFatal = true;
        this.mustStop(process);
      },
    };
    const states = { disk, directory, logger: silentLogger };
    const backend = await this.store.open(owner, { clock, states });
    this.check(() => this.log.restarted(backend.applied.index));
    return backend;
  }

  /** S3: after a failure of its storage a member stops at once; it never goes on. What is under way on a slow disk it waits for. */
  private mustStop(process: Process): void {
    this.parts.schedule.after(2_000 + 4 * this.faults.slowestMs, 'the process must have stopped', () => {
      if (process !== this.process) return;
      if (process.gate.isStopped) return this.mustStop(process);
      this.parts.schedule.fail(new Violation('S3', 'the member goes on although its storage failed'));
    });
  }

  private opened(process: Process, engine: Engine): void {
    if (process !== this.process) return;
    process.engine = engine;
    this.parts.schedule.note(`${this.prefix}process ${this.processes} has opened its storage`);
    void engine.failed.then((error) => this.failed(process, error));
    // In a cluster clients come as soon as the port is open, whether there is a leader or not.
    if (this.parts.network === undefined) void engine.ready.then(() => this.ready(process));
    else this.ready(process);
  }

  private ready(process: Process): void {
    if (process !== this.process) return;
    process.isServing = true;
    this.parts.schedule.note(`${this.prefix}process ${this.processes} serves`);
    if (this.parts.network === undefined) this.check(() => this.log.checkComplete());
    this.onServing?.();
  }

  /** A process may give up when its storage failed, and only then. */
  private failed(process: Process, error: Error): void {
    if (process !== this.process) return;
    this.parts.schedule.note(`${this.prefix}process ${this.processes} gives up: ${error.message}`);
    if (error.name === 'MemberRemovedError') this.leaves();
    else if (!this.faults.isFatal) {
      this.parts.schedule.fail(gaveUp('gave up although its storage works', error));
    }
    this.crash('stop');
  }

  /** R13: only who was removed goes. */
  private leaves(): void {
    const { log, schedule, identity } = this.parts;
    this.gone = 'removed';
    if (log.configuration.removed.has(this.id)) return;
    schedule.fail(new Violation('R13', `${identity.name} was not removed, but goes`));
  }

  private refusedToStart(process: Process, error: unknown): void {
    if (process !== this.process) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.parts.schedule.note(`${this.prefix}process ${this.processes} does not start: ${reason}`);
    if (!this.makesRoom(error) && !this.faults.isFatal) {
      this.parts.schedule.fail(gaveUp('does not start again', error));
    }
    this.crash('stop');
  }

  /** Whether a process did not start because its disk was full: the log needs room to open. From now on there is some. */
  private makesRoom(error: unknown): boolean {
    const isFull = this.wasLimited && isNoSpace(error);
    if (isFull) this.setCapacity(Number.POSITIVE_INFINITY);
    return isFull;
  }

  private check(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.parts.schedule.fail(error);
    }
  }
}
