import { decodeConfChange, encodeConfChange } from '../confchange/conf-change.js';
import { type RaftConfig } from '../config.js';
import { type ConfState, type MemberId, type Message, type Snapshot } from '../message.js';
import { RawNode } from '../raw-node.js';
import { type PersistBatch, type SnapshotInstall } from '../work.js';
import { SimulatedDisk } from './simulated-disk.js';
import { parseChange } from './transcript-change.js';
import {
  formatConfState,
  formatEntries,
  formatMessage,
  formatStatus,
  formatWork,
} from './transcript-format.js';

interface TranscriptMember {
  readonly config: RaftConfig;
  /** In force at `applied`. */
  confState: ConfState;
  readonly disk: SimulatedDisk;
  node: RawNode;
  /** Handed out and not yet durable, oldest first. */
  batches: PersistBatch[];
  applied: number;
  /** Received and not installed yet. */
  install: SnapshotInstall | undefined;
}

/** The configuration of a member that has yet to join. */
const EMPTY: ConfState = { voters: [], learners: [], outgoing: [], learnersNext: [], autoLeave: false };
const HEARTBEAT_TICKS = 1;
const ELECTION_TICKS = 10;

/**
 * The world of one transcript: members, their disks, and the messages on their way. Every command is a line; what it
 * caused comes back as lines. Nothing happens by itself, and election timeouts are not random: member n campaigns after
 * `ELECTION_TICKS + n - 1` ticks without a leader.
 */
export class Transcript {
  readonly #members = new Map<MemberId, TranscriptMember>();
  readonly #network: Message[] = [];
  readonly #isolated = new Set<MemberId>();
  #options: readonly string[] = [];

  /** @throws Error when the command is unknown or its arguments do not fit. */
  run(line: string): string[] {
    const [command = '', ...args] = line.split(/\s+/);
    switch (command) {
      case 'add-nodes':
        return this.#addNodes(args);
      case 'campaign':
        this.#member(args[0]).node.campaign();
        return [];
      case 'unreachable':
        this.#member(args[0]).node.leaderUnreachable();
        return [];
      case 'send-failed':
        this.#member(args[0]).node.sendFailed(parseId(args[1]));
        return [];
      case 'tick':
        return this.#tick(args[0], Number(args[1] ?? 1));
      case 'tick-heartbeat':
        return this.#tick(args[0], HEARTBEAT_TICKS);
      case 'tick-election':
        return this.#tick(args[0], ELECTION_TICKS);
      case 'propose':
        return this.#propose(args[0], new TextEncoder().encode(args[1]));
      case 'propose-bytes':
        return this.#propose(args[0], new Uint8Array(Number(args[1])));
      case 'propose-change':
        return this.#propose(args[0], encodeConfChange(parseChange(args.slice(1))), 'config');
      case 'transfer':
        return [String(this.#member(args[0]).node.transferLeadership(parseId(args[1])))];
      case 'step-down':
        this.#member(args[0]).node.stepDown();
        return [];
      case 'read':
        this.#member(args[0]).node.readIndex(Number(args[1]));
        return [];
      case 'can-read-locally':
        return [String(this.#member(args[0]).node.canReadLocally())];
      case 'compact':
        this.#member(args[0]).node.compact(Number(args[1]));
        return [];
      default:
        return this.#runWorld(command, args);
    }
  }

  #runWorld(command: string, args: readonly string[]): string[] {
    switch (command) {
      case 'add-member':
        return this.#addMember(parseId(args[0]), EMPTY);
      case 'send-state':
        return this.#sendState(parseId(args[0]), parseId(args[1]));
      case 'state-sent':
        return this.#stateSent(parseId(args[0]), parseId(args[1]), args[2]);
      case 'process-install':
        return this.#install(parseId(args[0])) ?? ['nothing'];
      case 'work':
        return this.#work(parseId(args[0])) ?? ['nothing'];
      case 'process-persist':
        return this.#persist(parseId(args[0])) ?? ['nothing'];
      case 'deliver':
        return this.#deliver(
          parseId(args[0]),
          (message) => args[1] === undefined || message.kind === args[1],
        );
      case 'drop':
        return this.#drop(args[0], args[1]);
      case 'network':
        return this.#network.map(formatMessage);
      case 'isolate':
        for (const id of args) this.#isolated.add(parseId(id));
        return [];
      case 'heal':
        this.#isolated.clear();
        return [];
      case 'crash-restart':
        return this.#restart(args[0]);
      case 'stabilize':
        return this.#stabilize(args);
      case 'members':
        return this.#selected(args).map(
          ([id, { node }]) => `${id}: ${formatConfState(node.status().confState)}`,
        );
      case 'status':
        return this.#selected(args).flatMap(([, { node }]) => formatStatus(node.status()));
      case 'disk':
        return this.#selected(args).map(([id, { disk }]) => `${id}: ${formatEntries(disk.entries)}`);
      default:
        throw new Error(`unknown command "${command}"`);
    }
  }

  /**
   * `add-nodes <count> [name=value …]`: voters 1 to count; names are the numbers of {@link RaftConfig}. `learners=2`
   * makes the last two of them learners.
   */
  #addNodes(args: readonly string[]): string[] {
    if (this.#members.size > 0) throw new Error('a transcript has one cluster');
    const [count, ...rest] = args;
    this.#options = rest.filter((option) => !option.startsWith('learners='));
    const learners = Number(rest.find((option) => option.startsWith('learners='))?.slice(9) ?? 0);
    const ids = Array.from({ length: Number(count) }, (_, at) => BigInt(at + 1));
    const voters = ids.slice(0, ids.length - learners);
    for (const id of ids) this.#addMember(id, { ...EMPTY, voters, learners: ids.slice(voters.length) });
    return [];
  }

  /** A member that starts with this configuration, and nothing else. */
  #addMember(id: MemberId, confState: ConfState): string[] {
    const config = configOf(id, this.#options);
    const disk = new SimulatedDisk();
    const node = start(config, confState, disk, 0);
    this.#members.set(id, { config, confState, disk, node, batches: [], applied: 0, install: undefined });
    return [];
  }

  #tick(id: string | undefined, count: number): string[] {
    const { node } = this.#member(id);
    for (let tick = 0; tick < count; tick += 1) node.tick();
    return [];
  }

  #propose(id: string | undefined, data: Uint8Array, kind: 'normal' | 'config' = 'normal'): string[] {
    const result = this.#member(id).node.propose(data, kind);
    if (result.dropped !== undefined) return [`dropped: ${result.dropped}, leader ${result.leader}`];
    return [`index ${result.index} term ${result.term}`];
  }

  /** Takes and does the work of one turn, except that the disk is as slow as the transcript wants. */
  #work(id: MemberId): string[] | undefined {
    const member = this.#member(id.toString());
    if (!member.node.hasWork()) return undefined;
    const work = member.node.takeWork();
    if (work.persist !== undefined) member.batches.push(work.persist);
    this.#send(work.messages);
    if (work.install !== undefined) member.install = work.install;
    const lines = formatWork(work).map((line) => `${id} ${line}`);
    for (const entry of work.committed) {
      if (entry.kind !== 'config') continue;
      member.confState = member.node.applyConfChange(decodeConfChange(entry.data));
      lines.push(`${id} members ${formatConfState(member.confState)}`);
    }
    const last = work.committed.at(-1);
    if (last !== undefined) {
      member.applied = last.index;
      member.node.applied(last.index);
    }
    return lines;
  }

  /** `send-state 1 3`: the state that member 1 has applied is on its way to member 3, and `deliver` brings it. */
  #sendState(from: MemberId, to: MemberId): string[] {
    const { node, applied, confState, disk } = this.#member(from.toString());
    const { term } = node.status();
    const snapshotTerm = disk.termAt(applied);
    const state: Snapshot = { kind: 'snapshot', from, to, term, index: applied, snapshotTerm, confState };
    this.#send([state]);
    return [formatMessage(state)];
  }

  /** `state-sent 1 3 [failed | index]`: member 1 hears how the transfer ended; what it has applied unless told. */
  #stateSent(from: MemberId, to: MemberId, how: string | undefined): string[] {
    const { node, applied, disk } = this.#member(from.toString());
    const index = Number(how ?? applied);
    node.snapshotSent(to, how === 'failed' ? undefined : { index, term: disk.termAt(index) });
    return [];
  }

  /** The received state is durable and takes the place of log and state machine. */
  #install(id: MemberId): string[] | undefined {
    const member = this.#member(id.toString());
    const { install } = member;
    if (install === undefined || member.batches.length > 0) return undefined;
    member.install = undefined;
    member.disk.restartAfter(install);
    member.applied = install.index;
    member.confState = install.confState;
    member.node.installed(install.index);
    return [`${id} installed ${install.index}`];
  }

  #persist(id: MemberId): string[] | undefined {
    const member = this.#member(id.toString());
    const batch = member.batches.shift();
    if (batch === undefined) return undefined;
    member.disk.complete(batch);
    this.#send(batch.messages);
    member.node.persisted(batch.id);
    const lines = [`${id} persisted #${batch.id}`];
    for (const message of batch.messages) lines.push(`${id} send ${formatMessage(message)}`);
    return lines;
  }

  #deliver(to: MemberId, isWanted: (message: Message) => boolean): string[] {
    const lines: string[] = [];
    const arriving = this.#network.filter((message) => message.to === to && isWanted(message));
    for (const message of arriving) {
      this.#network.splice(this.#network.indexOf(message), 1);
      lines.push(`${to} receive ${formatMessage(message)}`);
      this.#member(to.toString()).node.step(message);
    }
    return lines.length > 0 ? lines : ['nothing'];
  }

  /** `drop 1->2 [kind]`: what is on the way from 1 to 2 is lost; `*` stands for anyone. */
  #drop(route: string | undefined, kind: string | undefined): string[] {
    const [from = '*', to = '*'] = (route ?? '').split('->');
    const isLost = (message: Message): boolean =>
      (from === '*' || message.from === BigInt(from)) &&
      (to === '*' || message.to === BigInt(to)) &&
      (kind === undefined || message.kind === kind);
    const lost = this.#network.filter(isLost);
    for (const message of lost) this.#network.splice(this.#network.indexOf(message), 1);
    return lost.map((message) => `lost ${formatMessage(message)}`);
  }

  /** Everything in memory and everything not durable is gone. */
  #restart(id: string | undefined): string[] {
    const member = this.#member(id);
    member.batches = [];
    member.install = undefined;
    member.node = start(member.config, member.confState, member.disk, member.applied);
    return formatStatus(member.node.status());
  }

  /** Work, disk and network of the members named (or of all) until nothing moves. `quiet` hides how. */
  #stabilize(args: readonly string[]): string[] {
    const isQuiet = args.includes('quiet');
    const ids = this.#selected(args.filter((arg) => arg !== 'quiet')).map(([id]) => id);
    const lines: string[] = [];
    for (let isMoving = true; isMoving;) {
      const before = lines.length;
      for (const id of ids) lines.push(...(this.#work(id) ?? []));
      for (const id of ids) lines.push(...(this.#persist(id) ?? []));
      for (const id of ids) lines.push(...(this.#install(id) ?? []));
      for (const id of ids) {
        const isInside = (message: Message): boolean => ids.includes(message.from);
        if (this.#network.some((message) => message.to === id && isInside(message))) {
          lines.push(...this.#deliver(id, isInside));
        }
      }
      isMoving = lines.length > before;
    }
    return isQuiet ? [] : lines;
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (!this.#isolated.has(message.from) && !this.#isolated.has(message.to)) this.#network.push(message);
    }
  }

  #selected(args: readonly string[]): [MemberId, TranscriptMember][] {
    const all = [...this.#members];
    return args.length === 0 ? all : all.filter(([id]) => args.includes(id.toString()));
  }

  #member(id: string | undefined): TranscriptMember {
    const member = this.#members.get(parseId(id));
    if (member === undefined) throw new Error(`there is no member ${id}`);
    return member;
  }
}

function parseId(text: string | undefined): MemberId {
  if (text === undefined) throw new Error('the command needs a member');
  return BigInt(text);
}

function start(config: RaftConfig, confState: ConfState, disk: SimulatedDisk, applied: number): RawNode {
  const { hardState, entries, mark } = disk;
  return new RawNode(config, {
    hardState,
    confState,
    snapshotIndex: mark.index,
    snapshotTerm: mark.term,
    entries: [...entries],
    applied,
  });
}

function configOf(id: MemberId, options: readonly string[]): RaftConfig {
  const numbers = new Map(options.map((option) => option.split('=') as [string, string]));
  const number = (name: string, fallback: number): number => {
    const value = numbers.get(name);
    numbers.delete(name);
    return value === undefined ? fallback : Number(value);
  };
  const config = {
    id,
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    unreachableDelayTicks: { min: 1, max: 8 },
    random: { below: (bound: number) => (Number(id) - 1) % bound },
    maxInflightMessages: number('maxInflightMessages', 16),
    maxInflightBytes: number('maxInflightBytes', 1_000_000),
    maxMessageBytes: number('maxMessageBytes', 1_000_000),
    maxUncommittedBytes: number('maxUncommittedBytes', 1_000_000),
    retainedEntries: number('retainedEntries', 100),
    maxRetainedBytes: number('maxRetainedBytes', 1_000_000),
  };
  for (const name of numbers.keys()) throw new Error(`unknown option "${name}"`);
  return config;
}
