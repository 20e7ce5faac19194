import { CommittedLog } from './checks/committed-log.js';
import { LeaseCheck } from './checks/lease-check.js';
import { Oracle } from './checks/oracle.js';
import { Connection, type ClientParts } from './clients/connection.js';
import { KvClient } from './clients/kv-client.js';
import { LeaseBook, LeaseClient } from './clients/lease-client.js';
import { disarmRequest } from './clients/requests.js';
import { WatchClient } from './clients/watch-client.js';
import { FinalChecks } from './final-checks.js';
import { type PlantedBug } from './planted/planted-bug.js';
import { Fate } from './world/fate.js';
import { electionMs, Member } from './world/member.js';
import { drawProfile, type Profile } from './world/profile.js';
import { Schedule } from './world/schedule.js';
import { noFaults, type FaultCounts } from './world/storage-faults.js';
import { Trace } from './world/trace.js';
import { Violation } from './world/violation.js';

export interface RunOptions {
  readonly planted?: PlantedBug | undefined;
  /** Parts of the profile that are not to be drawn. */
  readonly profile?: Partial<Profile> | undefined;
  /** The effect of the disk at which the first crash comes. */
  readonly crashAt?: number | undefined;
  /** Gets every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
}

/** How a run ended; equal seeds give equal results. */
export interface RunResult {
  readonly seed: number;
  readonly hash: string;
  readonly events: number;
  /** Answers that were judged. */
  readonly answers: number;
  readonly entries: number;
  readonly watchEvents: number;
  readonly expiries: number;
  readonly crashes: number;
  /** Effects of the disk. */
  readonly effects: number;
  readonly faults: FaultCounts;
  readonly virtualMs: number;
  readonly violation: Violation | undefined;
  /** The last lines of the trace. */
  readonly tail: readonly string[];
}

/** A run that is not over by then hangs. */
const virtualLimitMs = 900_000;

/** One small world: a member, its clients, and everything that goes wrong for them. */
class Run {
  readonly trace: Trace;
  readonly log = new CommittedLog();
  readonly oracle = new Oracle(this.log);
  readonly counts = noFaults();
  readonly schedule: Schedule;
  readonly member: Member;
  readonly leaseCheck: LeaseCheck;
  readonly book = new LeaseBook();
  readonly watchClients: WatchClient[];
  private readonly fate: Fate;
  private readonly profile: Profile;
  private readonly kvClients: KvClient[];
  private readonly leaseClients: LeaseClient[];
  private readonly operator: Connection;
  private operations = 0;

  constructor(seed: number, options: RunOptions) {
    const fate = (this.fate = new Fate(seed));
    const profile = (this.profile = { ...drawProfile(fate), ...options.profile });
    const { log, counts } = this;
    this.trace = new Trace(options.print);
    const schedule = (this.schedule = new Schedule(fate, this.trace, profile.shufflesTies));
    log.compactsByItself = profile.autoCompactionMs > 0;
    this.member = new Member({
      fate,
      schedule,
      profile,
      log,
      counts,
      planted: options.planted,
      crashAt: options.crashAt,
    });
    this.leaseCheck = new LeaseCheck(schedule, slackOf(profile), electionMs);
    log.leaseWatcher = this.leaseCheck;
    const takeOperation = (): boolean => this.operations++ < profile.operations;
    const parts: ClientParts = {
      fate,
      schedule,
      member: this.member,
      log,
      oracle: this.oracle,
      takeOperation,
    };
    const range = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);
    const around = this.surroundings();
    this.kvClients = range(profile.kvClients).map((at) => new KvClient(parts, profile, around, at));
    this.leaseClients = range(profile.leaseClients).map(
      (at) => new LeaseClient(parts, profile, this.book, this.leaseCheck, 10 + at),
    );
    const resume = options.planted?.resumeRevision ?? ((next: number): number => next);
    this.watchClients = range(profile.watchClients).map(
      (at) => new WatchClient(parts, profile, 20 + at, resume),
    );
    this.operator = new Connection(parts, 30);
  }

  async play(): Promise<void> {
    const { member, schedule } = this;
    member.onDown = () => this.connectionsBreak();
    member.onServing = () => this.serves();
    member.start();
    for (const client of this.clients) client.start();
    this.planTrouble();
    await this.until('the operations are done', () => this.operations > this.profile.operations);
    schedule.note('nothing breaks any more');
    member.calmDown();
    for (const client of [...this.leaseClients, ...this.watchClients]) client.stop();
    const final = new FinalChecks({
      ...this,
      operator: this.operator,
      ttlMs: this.profile.leaseTtlSecondsMax * 1000,
    });
    await final.run();
  }

  private get clients(): readonly { start(): void; broken(): void }[] {
    return [...this.kvClients, ...this.leaseClients, ...this.watchClients];
  }

  private surroundings(): ConstructorParameters<typeof KvClient>[2] {
    const { log, book } = this;
    return {
      get revision() {
        return log.model.revision;
      },
      leases: book.ids,
      lives: { isAlive: (id, index) => log.isAlive(id, index), ids: book.ids, ttlOf: (id) => book.ttlOf(id) },
    };
  }

  private connectionsBreak(): void {
    for (const client of this.clients) client.broken();
    this.operator.broken();
    this.leaseCheck.disturbed();
  }

  private serves(): void {
    this.leaseCheck.disturbed();
    for (const client of this.watchClients) client.reconnect();
  }

  /** What goes wrong at a time of its own rather than at an effect of the disk. */
  private planTrouble(): void {
    const { fate, profile, schedule, counts, member } = this;
    const draw = fate.draw('trouble');
    const lengthMs = (profile.operations * profile.thinkMs) / profile.kvClients + 2_000;
    if (profile.faults.wallJumps) {
      for (let jump = 0; jump < 4; jump++) {
        const by = draw.pick([-3_600_000, -5_000, 2_000, 3_600_000]);
        schedule.after(draw.below(lengthMs), `the wall clock jumps by ${by} ms`, () => {
          counts.wallJumps++;
          member.wallOffsetMs += by;
        });
      }
    }
    if (profile.faults.fillsDisk) {
      schedule.after(draw.below(lengthMs / 2), 'the disk is nearly full', () => {
        counts.fullDisks++;
        member.setCapacity(member.usedBytes + draw.below(2 * profile.segmentBytes));
      });
      schedule.after(lengthMs / 2 + draw.below(6_000), 'the disk has room again', () => this.makeRoom());
    }
  }

  private makeRoom(): void {
    this.member.setCapacity(Number.POSITIVE_INFINITY);
    this.leaseCheck.disturbed();
    this.disarm();
  }

  /** Disarms the alarm of a full disk, until it is disarmed. */
  private disarm(): void {
    const { member, log, schedule } = this;
    const [alarm] = log.model.alarms.values();
    if (alarm !== undefined && member.engine !== undefined)
      this.operator.call(disarmRequest(alarm), () => {});
    if (!member.faults.isCalm || alarm !== undefined) {
      schedule.after(1_500, 'the operator looks', () => this.disarm());
    }
  }

  private async until(what: string, isDone: () => boolean): Promise<void> {
    const isReached = await this.schedule.run(virtualLimitMs, isDone);
    if (!isReached) throw new Violation('R11', `after ${virtualLimitMs} ms it is not so that ${what}`);
  }
}

/** What the disk and the event loop of this world may add to the time of an expiry. */
function slackOf({ faults }: Profile): number {
  const disk = faults.slowEffectChance > 0 ? 6 * faults.slowEffectMs : 0;
  return 500 + disk + (faults.stallChance > 0 ? 10 * faults.stallMs : 0);
}

/** Runs the world of one seed to its end, or to the first violation. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const run = new Run(seed, options);
  let violation: Violation | undefined;
  try {
    await run.play();
  } catch (error) {
    violation = error instanceof Violation ? error : unexpected(error);
  }
  const { trace, oracle, log, member, schedule, leaseCheck, counts } = run;
  return {
    seed,
    hash: trace.hash,
    events: trace.events,
    answers: oracle.answers,
    entries: log.last,
    watchEvents: run.watchClients.reduce((sum, client) => sum + client.delivered, 0),
    expiries: leaseCheck.expiries,
    crashes: member.crashes,
    effects: member.effects,
    faults: counts,
    virtualMs: schedule.now,
    violation,
    tail: trace.last,
  };
}

/** An exception out of the engine is a violation too: no input and no fault may lead there. */
function unexpected(error: unknown): Violation {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Violation('S1', detail);
}
