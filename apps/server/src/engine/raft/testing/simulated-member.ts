import { type RaftConfig } from '../config.js';
import { type ConfState, type MemberId, type Message } from '../message.js';
import { type Raft } from '../raft.js';
import { RawNode } from '../raw-node.js';
import { type PersistBatch, type Work } from '../work.js';
import { type Checker, type Observed } from './checker.js';
import { type SeededRandom } from './seeded-random.js';
import { SimulatedDisk } from './simulated-disk.js';

/** Mistakes that a host can make; planted to show that the checker finds them. */
export interface HostFlaws {
  /** Messages leave although the batch that they wait for is not durable. */
  readonly sendsBeforePersist?: boolean;
  /** Batches are acknowledged when they were taken. */
  readonly acknowledgesBeforePersist?: boolean;
}

function isNothing({ persist, messages, committed, reads, roleChange }: Work): boolean {
  const count = messages.length + committed.length + reads.length;
  return count === 0 && persist === undefined && roleChange === undefined;
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
  isUp = true;
  node: ObservedNode;
  /** What the state machine would find after a crash. */
  durableApplied = 0;
  /** Reads without an answer, with the number of entries that were committed when they were called. */
  readonly reads = new Map<number, number>();
  #applied = 0;
  #batches: PersistBatch[] = [];
  readonly #config: RaftConfig;
  readonly #confState: ConfState;
  readonly #checker: Checker;
  readonly #flaws: HostFlaws;

  constructor(config: RaftConfig, confState: ConfState, checker: Checker, flaws: HostFlaws) {
    this.id = config.id;
    this.#config = config;
    this.#confState = confState;
    this.#checker = checker;
    this.#flaws = flaws;
    this.node = this.#start(0);
  }

  get core(): Raft {
    return this.node.core;
  }
  get hasBatch(): boolean {
    return this.#batches.length > 0;
  }

  /** The end of a turn. Returns the messages that leave now. */
  turn(): readonly Message[] {
    const hadWork = this.node.hasWork();
    const work = this.node.takeWork();
    if (hadWork === isNothing(work)) throw new Error('hasWork announces exactly what takeWork returns');
    const leaving: Message[] = [...work.messages];
    if (work.persist !== undefined) {
      this.#checker.appended(this, work.persist.entries);
      this.#batches.push(work.persist);
      if (this.#isCareless()) leaving.push(...work.persist.messages);
    }
    for (const message of leaving) this.#checker.sent(this, message);
    this.#checker.applied(this, this.#applied, work.committed);
    const last = work.committed.at(-1);
    if (last !== undefined) {
      this.#applied = last.index;
      this.node.applied(last.index);
    }
    for (const read of work.reads) {
      const committedBefore = this.reads.get(Number(read.request));
      if (committedBefore === undefined) throw new Error('a read is answered once');
      this.reads.delete(Number(read.request));
      if (read.kind === 'index') this.#checker.read(this.id, committedBefore, read.index);
    }
    if (work.persist !== undefined && this.#flaws.acknowledgesBeforePersist === true) {
      this.node.persisted(work.persist.id);
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

  read(request: number): void {
    this.reads.set(request, this.#checker.committed.length);
    this.node.readIndex(request);
  }

  /** The state machine's file catches up with its memory, in part or whole. */
  flush(random: SeededRandom): void {
    this.durableApplied += random.below(this.#applied - this.durableApplied + 1);
  }

  crash(random: SeededRandom): void {
    this.disk.crash(this.#batches, random);
    this.#batches = [];
    this.reads.clear();
    this.isUp = false;
  }

  /** Starts anew from what is durable; entries up to `snapshotIndex` are not read back. */
  restart(snapshotIndex: number): void {
    this.isUp = true;
    this.#applied = this.durableApplied;
    this.node = this.#start(snapshotIndex);
  }

  #isCareless(): boolean {
    return this.#flaws.sendsBeforePersist === true || this.#flaws.acknowledgesBeforePersist === true;
  }

  #start(snapshotIndex: number): ObservedNode {
    const { hardState, entries } = this.disk;
    this.node = new ObservedNode(this.#config, {
      hardState,
      confState: this.#confState,
      snapshotIndex,
      snapshotTerm: this.disk.termAt(snapshotIndex),
      entries: entries.slice(snapshotIndex),
      applied: this.#applied,
    });
    this.#checker.started(this);
    return this.node;
  }
}
