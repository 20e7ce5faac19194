import { type RaftConfig } from '../config.js';
import { type ConfState, type MemberId, type Message } from '../message.js';
import { Checker, type Property } from './checker.js';
import { SeededRandom } from './seeded-random.js';
import { type SimulatedDisk } from './simulated-disk.js';
import { type HostFlaws, SimulatedMember } from './simulated-member.js';

export interface ClusterOptions {
  readonly seed: number;
  readonly members: number;
  readonly steps: number;
  readonly flaws?: HostFlaws;
  /** Properties that are not checked, to see what the others find. */
  readonly ignored?: readonly Property[];
}

/** What happened while everything went wrong; a run in which nothing happens proves nothing. */
export interface RunFigures {
  leaders: number;
  committed: number;
  readsAnswered: number;
  crashes: number;
  messages: number;
}

/** How often each thing happens, drawn anew for every seed so that runs differ in kind (swarm testing). */
interface Weights {
  readonly turn: number;
  readonly persist: number;
  readonly deliver: number;
  readonly tick: number;
  readonly propose: number;
  readonly read: number;
  readonly fault: number;
}

/** Five election timeouts of the most patient member: each is 5 to 10 ticks, plus as much again by chance. */
const QUIET_ROUNDS = 100;

/**
 * A cluster in one process, run from one seed. First everything goes wrong: messages are lost, repeated and reordered,
 * members crash with half-written disks, links are cut. The checker looks at every step. Then the faults stop, and the
 * cluster must elect a leader, commit, and answer reads on every member.
 */
export class SimulatedCluster {
  readonly figures: RunFigures = { leaders: 0, committed: 0, readsAnswered: 0, crashes: 0, messages: 0 };
  readonly #random: SeededRandom;
  readonly #checker: Checker;
  readonly #members: SimulatedMember[] = [];
  readonly #disks: SimulatedDisk[] = [];
  readonly #weights: Weights;
  readonly #steps: number;
  readonly #isOrdered: boolean;
  readonly #lossOneIn: number;
  /** Whether members act on a message soon, so that the protocol gets far between two faults. */
  readonly #isPrompt: boolean;
  readonly #network: Message[] = [];
  /** The member whose clock runs at a quarter of the others' speed. */
  readonly #slowClock: MemberId;
  readonly #cut = new Set<MemberId>();
  #nextRequest = 1;
  #nextCommand = 1;

  constructor({ seed, members, steps, flaws = {}, ignored = [] }: ClusterOptions) {
    this.#random = new SeededRandom(seed);
    this.#checker = new Checker(members, ignored);
    this.#steps = steps;
    this.#isOrdered = this.#random.oneIn(2);
    this.#lossOneIn = this.#random.pick([5, 20, 100]);
    this.#isPrompt = !this.#random.oneIn(4);
    this.#slowClock = BigInt(1 + this.#random.below(2 * members));
    this.#weights = drawWeights(this.#random);
    const ids = Array.from({ length: members }, (_, at) => BigInt(at + 1));
    const confState: ConfState = {
      voters: ids,
      learners: [],
      outgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    for (const id of ids) {
      const config = drawConfig(id, this.#random);
      const member = new SimulatedMember(config, confState, this.#checker, flaws);
      this.#members.push(member);
      this.#disks.push(member.disk);
    }
  }

  /** @throws Violation or AssertionError at the first step that breaks a property. */
  run(): void {
    for (let step = 0; step < this.#steps; step += 1) this.#step();
    this.figures.leaders = this.#checker.leaderTerms;
    this.figures.readsAnswered = this.#checker.readsAnswered;
    this.figures.committed = this.#checker.committed.length;
    this.#settle();
  }

  #step(): void {
    const member = this.#random.pick(this.#members);
    const { turn, persist, deliver, tick, propose, read, fault } = this.#weights;
    let dice = this.#random.below(turn + persist + deliver + tick + propose + read + fault);
    if ((dice -= deliver) < 0) return this.#deliverOne();
    if ((dice -= fault) < 0) return this.#fault(this.#random.oneIn(2) ? member : this.#someLeader(member));
    if (!member.isUp) return;
    if ((dice -= turn) < 0) this.#turn(member);
    else if ((dice -= persist) < 0) this.#send(member, member.persist());
    else if ((dice -= tick) < 0) this.#tick(member);
    else if ((dice -= propose) < 0) this.#propose(member);
    else member.read(this.#nextRequest++);
    this.#checkMember(member);
  }

  #tick(member: SimulatedMember): void {
    if (member.id !== this.#slowClock || this.#random.oneIn(4)) member.node.tick();
  }

  #fault(member: SimulatedMember): void {
    switch (this.#random.below(10)) {
      case 0:
        if (member.isUp) this.#crash(member);
        break;
      case 1:
      case 2:
      case 3:
        if (!member.isUp) this.#restart(member);
        break;
      case 4:
        this.#cut.add(member.id);
        for (const other of this.#members) {
          if (other.isUp && other !== member && this.#random.oneIn(2)) other.node.leaderUnreachable();
        }
        break;
      case 5:
      case 6:
        this.#cut.clear();
        break;
      case 7:
        if (member.isUp) member.node.leaderUnreachable();
        break;
      case 8:
        if (member.isUp) member.node.sendFailed(this.#random.pick(this.#members).id);
        break;
      default:
        member.flush(this.#random);
        if (member.isUp) member.node.compact(this.#appliedEverywhere());
        break;
    }
    if (member.isUp) this.#checkMember(member);
  }

  /** Faults hit leaders more often than others: that is where they hurt. */
  #someLeader(otherwise: SimulatedMember): SimulatedMember {
    const leaders = this.#members.filter(({ core, isUp }) => isUp && core.role.name === 'leader');
    return leaders.length === 0 ? otherwise : this.#random.pick(leaders);
  }

  #crash(member: SimulatedMember): void {
    this.figures.crashes += 1;
    member.crash(this.#random);
    if (this.#random.oneIn(2)) this.#restart(member);
  }

  #restart(member: SimulatedMember): void {
    member.restart(this.#random.oneIn(2) ? 0 : this.#appliedEverywhere());
  }

  /** Entries that no member will ever ask for again: there are no snapshots here. */
  #appliedEverywhere(): number {
    return Math.min(...this.#members.map((member) => member.durableApplied));
  }

  #turn(member: SimulatedMember): void {
    this.#send(member, member.turn());
  }

  #propose(member: SimulatedMember): void {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setUint32(0, this.#nextCommand++);
    member.node.propose(data);
  }

  #send(member: SimulatedMember, messages: readonly Message[]): void {
    this.figures.messages += messages.length;
    if (this.#cut.has(member.id)) return;
    this.#network.push(...messages);
  }

  #deliverOne(): void {
    if (this.#network.length === 0) return;
    const at = this.#isOrdered ? 0 : this.#random.below(this.#network.length);
    const message = this.#network[at]!;
    const isRepeated = this.#random.oneIn(20);
    if (!isRepeated || this.#isOrdered) this.#network.splice(at, 1);
    if (!this.#random.oneIn(this.#lossOneIn)) this.#deliver(message);
  }

  #deliver(message: Message): void {
    const member = this.#members[Number(message.to) - 1]!;
    if (!member.isUp || this.#cut.has(member.id)) return;
    member.node.step(message);
    this.#checkMember(member);
    if (this.#isPrompt && this.#random.oneIn(2)) {
      this.#turn(member);
      if (this.#random.oneIn(2)) this.#send(member, member.persist());
      this.#checkMember(member);
    }
  }

  #checkMember(member: SimulatedMember): void {
    this.#checker.check(member, this.#disks);
  }

  /** No more faults: a leader within bounded time, all members current, every read answered. */
  #settle(): void {
    this.#cut.clear();
    this.#network.length = 0;
    for (const member of this.#members) if (!member.isUp) this.#restart(member);
    for (let round = 0; round < QUIET_ROUNDS; round += 1) {
      for (const member of this.#members) {
        member.node.tick();
        this.#checkMember(member);
      }
      this.#exchange();
    }
    const leader = this.#members.find(({ core }) => core.role.name === 'leader');
    if (leader === undefined) throw new Error('R11: there is no leader although nothing is wrong any more');
    this.#propose(leader);
    for (const member of this.#members) member.read(this.#nextRequest++);
    this.#exchange();
    for (const member of this.#members) {
      const { log } = member.core;
      const isCurrent = log.applied === leader.core.log.lastIndex && log.lastIndex === log.applied;
      if (!isCurrent) throw new Error(`R11: member ${member.id} does not catch up`);
      if (member.reads.size > 0) throw new Error(`R11: member ${member.id} waits for a read`);
    }
  }

  /** Turns, disks and network, in order and without loss, until nothing moves. */
  #exchange(): void {
    for (let isMoving = true; isMoving;) {
      isMoving = false;
      for (const member of this.#members) {
        while (member.node.hasWork() || member.hasBatch) {
          this.#turn(member);
          this.#send(member, member.persist());
          this.#checkMember(member);
          isMoving = true;
        }
      }
      for (const message of this.#network.splice(0)) {
        this.#deliver(message);
        isMoving = true;
      }
    }
  }
}

function drawWeights(random: SeededRandom): Weights {
  return {
    turn: 20 + random.below(40),
    persist: 10 + random.below(30),
    deliver: 40 + random.below(80),
    tick: 15 + random.below(60),
    propose: 1 + random.below(15),
    read: 1 + random.below(random.oneIn(3) ? 60 : 10),
    fault: 1 + random.below(5),
  };
}

function drawConfig(id: MemberId, random: SeededRandom): RaftConfig {
  return {
    id,
    electionTicks: 5 + random.below(6),
    heartbeatTicks: 1 + random.below(2),
    unreachableDelayTicks: { min: 1, max: 4 },
    random,
    maxInflightMessages: 1 + random.below(8),
    maxInflightBytes: random.oneIn(3) ? 50 : 100_000,
    maxMessageBytes: random.oneIn(3) ? 1 : 100_000,
    maxUncommittedBytes: random.oneIn(3) ? 20 : 100_000,
    retainedEntries: random.below(4),
    maxRetainedBytes: 100_000,
  };
}
