import { noFigures } from './run-figures.js';
import { encodeConfChange } from '../confchange/conf-change.js';
import { type RaftConfig } from '../config.js';
import { type ConfState, type MemberId, type Message } from '../message.js';
import { Checker, type Property, Violation } from './checker.js';
import { randomChange } from './random-change.js';
import { SeededRandom } from './seeded-random.js';
import { type HostFlaws, SimulatedMember } from './simulated-member.js';
import { SimulatedNetwork, type StateTransfer } from './simulated-network.js';

export interface ClusterOptions {
  readonly seed: number;
  readonly members: number;
  readonly steps: number;
  readonly flaws?: HostFlaws;
  /** Properties that are not checked, to see what the others find. */
  readonly ignored?: readonly Property[];
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
  readonly apply: number;
  readonly state: number;
  readonly operate: number;
}

/** Ten election timeouts of the most patient member: each is 5 to 10 ticks, plus as much again by chance. */
const QUIET_ROUNDS = 200;
/** Members that may ever have existed. */
const MAX_MEMBERS = 8;
const EMPTY: ConfState = { voters: [], learners: [], outgoing: [], learnersNext: [], autoLeave: false };

/**
 * A cluster in one process, run from one seed. First everything goes wrong: messages are lost, repeated and reordered,
 * members crash with half-written disks, links are cut, members are added and removed, leadership is handed over. The
 * checker looks at every step. Then the faults stop, and the cluster must elect a leader, commit, bring every member up
 * to date and answer its reads.
 */
export class SimulatedCluster {
  readonly figures = noFigures();
  readonly #random: SeededRandom;
  readonly #checker: Checker;
  readonly #members: SimulatedMember[] = [];
  readonly #network: SimulatedNetwork;
  readonly #weights: Weights;
  readonly #steps: number;
  readonly #flaws: HostFlaws;
  /** Whether members act on a message soon, so that the protocol gets far between two faults. */
  readonly #isPrompt: boolean;
  /** The member whose clock runs at a quarter of the others' speed. */
  readonly #slowClock: MemberId;
  #nextRequest = 1;
  #nextCommand = 1;

  constructor({ seed, members, steps, flaws = {}, ignored = [] }: ClusterOptions) {
    this.#random = new SeededRandom(seed);
    const voters = Array.from({ length: members }, (_, at) => BigInt(at + 1));
    const confState: ConfState = { ...EMPTY, voters };
    this.#checker = new Checker(confState, ignored);
    this.#steps = steps;
    this.#flaws = flaws;
    this.#network = new SimulatedNetwork(this.#random);
    this.#isPrompt = !this.#random.oneIn(4);
    this.#slowClock = BigInt(1 + this.#random.below(2 * members));
    this.#weights = drawWeights(this.#random);
    for (const _ of voters) this.#addMember(confState);
  }

  /** @throws Violation or AssertionError at the first step that breaks a property. */
  run(): void {
    for (let step = 0; step < this.#steps; step += 1) this.#step();
    this.figures.leaders = this.#checker.leaderTerms;
    this.figures.readsAnswered = this.#checker.readsAnswered;
    this.figures.committed = this.#checker.committed.length;
    this.figures.changes = this.#checker.configs.changes;
    this.#settle();
  }

  #addMember(confState: ConfState): SimulatedMember {
    const config = drawConfig(BigInt(this.#members.length + 1), this.#random);
    const member = new SimulatedMember(config, confState, this.#checker, this.#flaws);
    this.#members.push(member);
    return member;
  }

  #step(): void {
    const member = this.#random.pick(this.#members);
    const { turn, persist, deliver, tick, propose, read, fault, apply, state, operate } = this.#weights;
    const total = turn + persist + deliver + tick + propose + read + fault + apply + state + operate;
    let dice = this.#random.below(total);
    if ((dice -= deliver) < 0) return this.#deliverOne();
    if ((dice -= fault) < 0) return this.#fault(this.#random.oneIn(2) ? member : this.#someLeader(member));
    if ((dice -= state) < 0) return this.#moveState(member);
    if ((dice -= operate) < 0) return this.#operate(this.#someLeader(member));
    if (!member.isUp) return;
    if ((dice -= turn) < 0) this.#turn(member);
    else if ((dice -= persist) < 0) this.#send(member, member.persist());
    else if ((dice -= tick) < 0) this.#tick(member);
    else if ((dice -= propose) < 0) this.#propose(member);
    else if ((dice -= apply) < 0) member.apply();
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
        if (!member.isUp) member.restart();
        break;
      case 4:
        this.#network.cut(member.id);
        for (const other of this.#members) {
          if (other.isUp && other !== member && this.#random.oneIn(2)) other.node.leaderUnreachable();
        }
        break;
      case 5:
      case 6:
        this.#network.heal();
        break;
      case 7:
        if (member.isUp) member.node.leaderUnreachable();
        break;
      case 8:
        if (member.isUp) member.node.sendFailed(this.#random.pick(this.#members).id);
        break;
      default:
        member.machine.flush(this.#random.below(8));
        if (this.#random.oneIn(2)) member.cut();
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
    member.crash((batches) => member.disk.crash(batches, this.#random));
    if (this.#random.oneIn(2)) member.restart();
  }

  /** An operator changes the membership, or has leadership handed over or given up. */
  #operate(member: SimulatedMember): void {
    if (!member.isUp) return;
    switch (this.#random.below(4)) {
      case 0:
        if (member.node.transferLeadership(this.#random.pick(this.#members).id)) this.figures.transfers += 1;
        break;
      case 1:
        if (this.#random.oneIn(4)) member.node.stepDown();
        break;
      default:
        this.#change(member);
        break;
    }
    this.#checkMember(member);
  }

  /** Identities are not used again: who was a member once never joins anew. */
  #change(member: SimulatedMember): void {
    const { confState, isEmpty } = member.core.configuration;
    if (isEmpty) return;
    let strangers = this.#members.filter(({ id }) => !this.#checker.configs.wasMember(id));
    if (strangers.length === 0 && this.#members.length < MAX_MEMBERS) strangers = [this.#addMember(EMPTY)];
    const ids = strangers.map(({ id }) => id);
    member.node.propose(encodeConfChange(randomChange(confState, ids, this.#random)), 'config');
  }

  /** States are sent, arrive and are installed at a pace of their own. */
  #moveState(member: SimulatedMember): void {
    switch (this.#random.below(4)) {
      case 0:
        if (member.isUp) this.#sendStates(member);
        break;
      case 1:
        if (member.isUp) this.#install(member);
        break;
      default: {
        const transfer = this.#network.takeState();
        if (transfer !== undefined) this.#arrive(transfer, this.#random.oneIn(5));
        break;
      }
    }
  }

  #sendStates(member: SimulatedMember): void {
    for (const to of member.wanted.splice(0)) {
      this.#network.sendState({ ...member.capture(to), senderLife: member.life });
    }
  }

  /** A state arrives, or is lost; its sender hears what became of it, unless it is no more. */
  #arrive(transfer: StateTransfer, isLost: boolean): void {
    const { message, senderLife } = transfer;
    const receiver = this.#member(message.to);
    const sender = this.#member(message.from);
    const hasArrived = !isLost && receiver.isUp && message.index > 0;
    if (hasArrived) {
      receiver.receive(transfer);
      this.#checkMember(receiver);
    }
    if (!sender.isUp || sender.life !== senderLife) return;
    const mark = { index: message.index, term: message.snapshotTerm };
    sender.node.snapshotSent(message.to, hasArrived ? mark : undefined);
    this.#checkMember(sender);
  }

  #install(member: SimulatedMember): void {
    if (member.install()) this.figures.installs += 1;
    this.#checkMember(member);
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
    this.#network.send(member.id, messages);
  }

  #deliverOne(): void {
    const message = this.#network.take();
    if (message !== undefined) this.#deliver(message);
  }

  #deliver(message: Message): void {
    const member = this.#member(message.to);
    if (!member.isUp || this.#network.isCut(member.id)) return;
    member.node.step(message);
    this.#checkMember(member);
    if (this.#isPrompt && this.#random.oneIn(2)) {
      this.#turn(member);
      if (this.#random.oneIn(2)) this.#send(member, member.persist());
      this.#checkMember(member);
    }
  }

  #member(id: MemberId): SimulatedMember {
    return this.#members[Number(id) - 1]!;
  }

  #checkMember(member: SimulatedMember): void {
    this.#checker.check(member, this.#members);
  }

  /** No more faults: a leader within bounded time, all members current, every read answered. */
  #settle(): void {
    this.#network.heal();
    for (const member of this.#members) if (!member.isUp) member.restart();
    for (const transfer of this.#network.drain().states) this.#arrive(transfer, true);
    this.#quietRounds(QUIET_ROUNDS);
    let leader = this.#leader();
    const { outgoing, autoLeave } = leader.core.configuration.confState;
    if (outgoing.length > 0 && !autoLeave) {
      const leave = encodeConfChange({ changes: [], transition: 'auto', context: new Uint8Array(0) });
      leader.node.propose(leave, 'config');
      this.#quietRounds(QUIET_ROUNDS);
      leader = this.#leader();
    }
    this.#propose(leader);
    const { configuration } = leader.core;
    const members = this.#members.filter(({ id }) => configuration.isMember(id));
    for (const member of members) member.read(this.#nextRequest++);
    this.#quietRounds(2);
    for (const member of members) {
      const { log } = member.core;
      const isCurrent = log.applied === leader.core.log.lastIndex && log.lastIndex === log.applied;
      if (!isCurrent) throw new Violation('R11', `member ${member.id} does not catch up`);
      if (member.reads.size > 0) throw new Violation('R11', `member ${member.id} waits for a read`);
    }
  }

  #leader(): SimulatedMember {
    const leaders = this.#members.filter(({ core }) => core.role.name === 'leader');
    const leader = leaders.sort((left, right) => right.core.term - left.core.term)[0];
    if (leader === undefined)
      throw new Violation('R11', 'there is no leader although nothing is wrong any more');
    if (leader.core.configuration.confState.autoLeave) {
      throw new Violation('R11', 'the joint configuration is not left');
    }
    return leader;
  }

  #quietRounds(count: number): void {
    for (let round = 0; round < count; round += 1) {
      for (const member of this.#members) {
        member.node.tick();
        this.#checkMember(member);
      }
      this.#exchange();
    }
  }

  /** Turns, disks, state machines and network, in order and without loss, until nothing moves. */
  #exchange(): void {
    for (let isMoving = true; isMoving;) {
      isMoving = false;
      for (const member of this.#members) {
        while (member.node.hasWork() || member.isBusy) {
          this.#turn(member);
          this.#send(member, member.persist());
          this.#checkMember(member);
          member.apply();
          this.#install(member);
          this.#checkMember(member);
          isMoving = true;
        }
        member.machine.flush(1000);
        this.#sendStates(member);
      }
      const { messages, states } = this.#network.drain();
      for (const message of messages) this.#deliver(message);
      for (const transfer of states) this.#arrive(transfer, false);
      if (messages.length + states.length > 0) isMoving = true;
    }
  }
}

function drawWeights(random: SeededRandom): Weights {
  const isChanging = random.oneIn(2);
  return {
    turn: 20 + random.below(40),
    persist: 10 + random.below(30),
    deliver: 40 + random.below(80),
    tick: 15 + random.below(60),
    propose: 1 + random.below(15),
    read: 1 + random.below(random.oneIn(3) ? 60 : 10),
    fault: 1 + random.below(5),
    apply: 5 + random.below(30),
    state: 2 + random.below(20),
    operate: isChanging ? 2 + random.below(14) : 0,
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
