import { type RaftConfig } from '../config.js';
import { type ConfState, type Entry, type MemberId, type Message, type Snapshot } from '../message.js';
import { type Raft } from '../raft.js';
import { RawNode } from '../raw-node.js';
import { type PersistBatch, type SnapshotInstall, type Work } from '../work.js';
import { type Checker, type Observed } from './checker.js';
import { SimulatedDisk } from './simulated-disk.js';
import { decideChange, type MachineState, SimulatedMachine } from './simulated-machine.js';

/** Mistakes that a host can make; planted to show that the checker finds them. */
export interface HostFlaws {
  /** Messages leave although the batch that they wait for is not durable. */
  readonly sendsBeforePersist?: boolean;
  /** Batches are acknowledged when they were taken. */
  readonly acknowledgesBeforePersist?: boolean;
  /** Received states are reported as installed when the core asks for it. */
  readonly reportsBeforeInstall?: boolean;
  /** A received state replaces the state machine, but the configuration of the former one stays. */
  readonly forgetsConfiguration?: boolean;
}

function isNothing({ persist, messages, committed, reads, roleChange, snapshots, install }: Work): boolean {
  const count = messages.length + committed.length + reads.length + snapshots.length;
  return count === 0 && persist === undefined && roleChange === undefined && install === undefined;
}

/** The production core, with its state open to the checker. */
class ObservedNode extends RawNode {
  get core(): Raft {
    return this.raft;
  }
}

/** One member in one process: the core, a disk, a state machine, and a host that drives them. */
export class SimulatedMember implements Observed {
  readonly id: MemberId;
  readonly disk = new SimulatedDisk();
  readonly machine: SimulatedMachine;
  isUp = true;
  node: ObservedNode;
  /** Counts restarts, so that what was begun in a former life does not reach this one. */
  life = 1;
  /** Members that the core wants a state for. */
  wanted: MemberId[] = [];
  /** Reads without an answer, with the number of entries that were committed when they were called. */
  readonly reads = new Map<number, number>();
  #batches: PersistBatch[] = [];
  #toApply: Entry[] = [];
  #install: SnapshotInstall | undefined;
  #received: MachineState[] = [];
  readonly #config: RaftConfig;
  readonly #checker: Checker;
  readonly #flaws: HostFlaws;

  constructor(config: RaftConfig, confState: ConfState, checker: Checker, flaws: HostFlaws) {
    this.id = config.id;
    this.#config = config;
    this.machine = new SimulatedMachine(confState);
    this.#checker = checker;
    this.#flaws = flaws;
    this.node = this.#start();
  }

  get core(): Raft {
    return this.node.core;
  }
  /** Whether something is under way that moves without being asked. */
  get isBusy(): boolean {
    return this.#batches.length > 0 || this.#toApply.length > 0 || this.#install !== undefined;
  }

  /** The end of a turn. Returns the messages that leave now. */
  turn(): readonly Message[] {
    const hadWork = this.node.hasWork();
    const work = this.node.takeWork();
    // An announcement may come to nothing, but not again and again: the host would turn for ever.
    if (!hadWork && !isNothing(work)) throw new Error('hasWork announces what takeWork returns');
    if (isNothing(work) && this.node.hasWork()) throw new Error('takeWork ends what hasWork announces');
    const leaving: Message[] = [...work.messages];
    if (work.persist !== undefined) {
      this.#checker.appended(this, work.persist.entries);
      this.#batches.push(work.persist);
      if (this.#isCareless()) leaving.push(...work.persist.messages);
    }
    for (const message of leaving) this.#checker.sent(this, message);
    this.#checker.handedOut(this, work.committed);
    this.#toApply.push(...work.committed);
    this.wanted.push(...work.snapshots.map(({ to }) => to));
    this.#answerReads(work);
    if (work.persist !== undefined && this.#flaws.acknowledgesBeforePersist === true) {
      this.node.persisted(work.persist.id);
    }
    if (work.install !== undefined) {
      this.#install = work.install;
      if (this.#flaws.reportsBeforeInstall === true) this.node.installed(work.install.index);
    }
    return leaving;
  }

  /** The oldest batch reaches the disk. Returns the messages that leave with it. */
  persist(): readonly Message[] {
    const batch = this.#batches.shift();
    if (batch === undefined) return [];
    this.disk.complete(batch);
    if (this.#flaws.acknowledgesBeforePersist === true) return [];
    const leaving = this.#isCareless() ? [] : batch.messages;
    for (const message of leaving) this.#checker.sent(this, message);
    this.node.persisted(batch.id);
    return leaving;
  }

  /** The state machine applies everything that it was handed, and says so. */
  apply(): void {
    for (const entry of this.#toApply.splice(0)) {
      const isChange = entry.kind === 'config';
      const confState = isChange ? this.node.applyConfChange(decideChange(entry)) : undefined;
      this.machine.apply(entry, confState ?? this.machine.newest.confState);
      this.#checker.applied(this, entry);
      this.node.applied(entry.index);
    }
  }

  /** The state as the file has it. */
  capture(to: MemberId): { message: Snapshot; state: MachineState } {
    const state = this.machine.durable;
    const { index, term: snapshotTerm, confState } = state;
    const { id: from, core } = this;
    return {
      message: { kind: 'snapshot', from, to, term: core.term, index, snapshotTerm, confState },
      state,
    };
  }

  receive({ message, state }: { message: Snapshot; state: MachineState }): void {
    this.#received.push(state);
    this.node.step(message);
  }

  /** The state that the core asked for takes the place of log and state machine, once all earlier batches are written. True when so. */
  install(): boolean {
    const install = this.#install;
    if (install === undefined || this.#batches.length > 0) return false;
    this.#install = undefined;
    const state = this.#received.find(({ index, term }) => index === install.index && term === install.term);
    if (state === undefined) throw new Error('only a state that arrived is installed');
    this.#received = [];
    this.#toApply = [];
    this.disk.restartAfter(install);
    const { confState } = this.#flaws.forgetsConfiguration === true ? this.machine.newest : state;
    this.machine.replace({ ...state, confState });
    if (this.#flaws.reportsBeforeInstall !== true) this.node.installed(install.index);
    this.#checker.installed(this);
    return true;
  }

  read(request: number): void {
    this.reads.set(request, this.#checker.committed.length);
    this.node.readIndex(request);
  }

  /** The log before what the file holds is needed no more. */
  cut(): void {
    this.disk.cut(this.machine.durable);
    if (this.isUp) this.node.compact(this.machine.durable.index);
  }

  crash(tear: (batches: readonly PersistBatch[]) => void): void {
    tear(this.#batches);
    this.#batches = [];
    this.#toApply = [];
    this.#install = undefined;
    this.#received = [];
    this.wanted = [];
    this.reads.clear();
    this.machine.crash();
    this.isUp = false;
  }

  /** Starts anew from what is durable. */
  restart(): void {
    this.isUp = true;
    this.life += 1;
    this.node = this.#start();
  }

  #answerReads({ reads }: Work): void {
    for (const read of reads) {
      const committedBefore = this.reads.get(Number(read.request));
      if (committedBefore === undefined) throw new Error('a read is answered once');
      this.reads.delete(Number(read.request));
      if (read.kind === 'index') this.#checker.read(this.id, committedBefore, read.index);
    }
  }

  #isCareless(): boolean {
    return this.#flaws.sendsBeforePersist === true || this.#flaws.acknowledgesBeforePersist === true;
  }

  #start(): ObservedNode {
    const { hardState, entries, mark } = this.disk;
    const { index: applied, confState } = this.machine.durable;
    this.node = new ObservedNode(this.#config, {
      hardState,
      confState,
      snapshotIndex: mark.index,
      snapshotTerm: mark.term,
      entries: [...entries],
      applied,
    });
    this.#checker.started(this);
    return this.node;
  }
}
