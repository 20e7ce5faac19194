import { type ConfState, type Entry, type MemberId, type Message, NO_MEMBER } from '../message.js';
import { type Raft } from '../raft.js';
import { ConfigModel, electorateOf, isQuorum } from './config-model.js';
import { type SimulatedDisk } from './simulated-disk.js';
import { type MachineState, type SimulatedMachine, stateAfter } from './simulated-machine.js';
import { formatConfState } from './transcript-format.js';

/** The properties that are checked after every step; the letters are those of the reliability specification. */
export type Property = 'R1' | 'R2' | 'R3' | 'R4' | 'R5' | 'R6' | 'R7' | 'R8' | 'R9' | 'R10' | 'R11' | 'R12';

/** A property does not hold in this run. */
export class Violation extends Error {
  override readonly name = 'Violation';
  constructor(
    readonly property: Property,
    message: string,
  ) {
    super(`${property}: ${message}`);
  }
}

/** What the checker may look at: the state of a member, not its opinion of it. */
export interface Observed {
  readonly id: MemberId;
  readonly core: Raft;
  readonly disk: SimulatedDisk;
  readonly machine: SimulatedMachine;
  readonly isUp: boolean;
}

/** A member as it was after the last step, within one life. */
interface Former {
  term: number;
  vote: MemberId;
  commit: number;
  leaderTerm: number;
  lastIndex: number;
}

/** Watches all members of a cluster and throws a {@link Violation} as soon as a property of Raft is broken. */
export class Checker {
  /** The committed log, from index 1 on, as the first member committed it. */
  readonly committed: Entry[] = [];
  readsAnswered = 0;
  readonly configs: ConfigModel;
  /** What a state machine is after each committed entry, from index 0 on. */
  readonly #states: MachineState[];
  readonly #ignored: ReadonlySet<Property>;
  readonly #leaders = new Map<number, MemberId>();
  /** Every entry that ever stood in a log, with the term before it. */
  readonly #known = new Map<string, { entry: Entry; previousTerm: number }>();
  readonly #votes = new Map<string, MemberId>();
  readonly #former = new Map<MemberId, Former>();

  constructor(initial: ConfState, ignored: readonly Property[]) {
    this.configs = new ConfigModel(initial);
    this.#states = [{ index: 0, term: 0, hash: 0, confState: initial }];
    this.#ignored = new Set(ignored);
  }

  get leaderTerms(): number {
    return this.#leaders.size;
  }

  /** The member begins a life with what its disk kept. */
  started({ id, core, disk }: Observed): void {
    this.#require('R6', core.term >= disk.hardState.term, `member ${id} forgot its term`);
    const isSameTerm = core.term === disk.hardState.term;
    this.#require('R6', !isSameTerm || core.vote === disk.hardState.vote, `member ${id} forgot its vote`);
    const { term, vote, log } = core;
    this.#former.set(id, { term, vote, commit: log.commit, leaderTerm: 0, lastIndex: log.lastIndex });
  }

  /** Entries on their way to the disk: R3, log matching, and R9: of two membership changes the first is committed. */
  appended({ id, core }: Observed, entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    let previousTerm = core.log.termAt(first.index - 1);
    for (const entry of entries) {
      const key = `${entry.index}@${entry.term}`;
      const known = this.#known.get(key);
      if (known === undefined) this.#known.set(key, { entry, previousTerm });
      else {
        const isSame = known.previousTerm === previousTerm && isSameData(known.entry, entry);
        this.#require('R3', isSame, `member ${id} holds another entry ${key}`);
      }
      previousTerm = entry.term;
      if (entry.kind === 'config') {
        const { log } = core;
        const from = Math.max(this.committed.length + 1, log.firstIndex);
        const pending = log.slice(from, log.lastIndex).filter(({ kind }) => kind === 'config');
        this.#require('R9', pending.length <= 1, `member ${id} holds two uncommitted membership changes`);
      }
    }
  }

  /** A message leaves: R7, and one vote per term (R6). */
  sent({ id, disk }: Observed, message: Message): void {
    const { term, vote } = disk.hardState;
    const hasVote = (candidate: MemberId): boolean =>
      term > message.term || (term === message.term && vote === candidate);
    const implied = message.kind === 'pre-vote' ? message.term - 1 : message.term;
    const isHint = message.kind === 'pre-vote-reply' && message.granted;
    this.#require('R7', isHint || term >= implied, `member ${id} speaks in a term that it can lose`);
    switch (message.kind) {
      case 'vote':
        this.#require('R7', hasVote(id), `member ${id} campaigns without its vote`);
        this.#require('R7', disk.lastIndex >= message.lastIndex, `member ${id} boasts of a log it can lose`);
        break;
      case 'vote-reply':
        if (message.granted) {
          this.#require('R7', hasVote(message.to), `member ${id} grants a vote that it can lose`);
          this.#vote(id, message.term, message.to);
        }
        break;
      case 'append-reply':
        this.#require('R7', disk.lastIndex >= message.index, `member ${id} acknowledges what it can lose`);
        break;
      case 'append':
      case 'heartbeat':
        this.#require('R7', hasVote(id), `member ${id} leads a term that it can forget`);
        break;
      default:
        break;
    }
  }

  /** Entries are handed to the state machine: R5, and they are durable on the member. */
  handedOut({ id, disk }: Observed, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index, term } = entry;
      const committed = this.committed[index - 1];
      const isSame = committed !== undefined && isSameEntry(committed, entry);
      this.#require('R5', isSame, `member ${id} applies another entry at ${index}`);
      this.#require('R5', disk.holds(index, term), `member ${id} applies what it can lose`);
    }
  }

  /** The state machine applied an entry, in order: R5. */
  applied({ id, machine }: Observed, entry: Entry): void {
    this.#require('R5', machine.newest.index === entry.index, `member ${id} skips before ${entry.index}`);
    this.#checkState('R5', id, machine.newest);
  }

  /** A received state took the place of all: R12, it is what applying the log would have led to. */
  installed({ id, machine }: Observed): void {
    this.#checkState('R12', id, machine.newest);
  }

  #checkState(property: Property, id: MemberId, state: MachineState): void {
    const model = this.#states[state.index];
    const isSame =
      model !== undefined &&
      model.hash === state.hash &&
      model.term === state.term &&
      formatConfState(model.confState) === formatConfState(state.confState);
    this.#require(property, isSame, `member ${id} is in another state at ${state.index}`);
  }

  /** A read was answered: R10. */
  read(id: MemberId, committedBefore: number, index: number): void {
    this.readsAnswered += 1;
    this.#require(
      'R10',
      index >= committedBefore,
      `member ${id} reads at ${index}, before ${committedBefore}`,
    );
  }

  /** After every step that touched the member. */
  check(member: Observed, members: readonly Observed[]): void {
    const { id, core } = member;
    const former = this.#former.get(id)!;
    const { term, vote, log } = core;
    this.#require('R6', term >= former.term, `member ${id} goes back to term ${term}`);
    const isVoteKept = term > former.term || former.vote === NO_MEMBER || vote === former.vote;
    this.#require('R6', isVoteKept, `member ${id} votes twice in term ${term}`);
    this.#require('R6', log.commit >= former.commit, `member ${id} takes back commit ${former.commit}`);
    this.#checkCommit(member, former.commit, members);
    this.#checkConfiguration(member);
    const isLeader = core.role.name === 'leader';
    if (isLeader && former.leaderTerm === term) {
      this.#require('R2', log.lastIndex >= former.lastIndex, `leader ${id} shortens its log`);
    } else if (isLeader) this.#claim(member);
    former.leaderTerm = isLeader ? term : 0;
    former.term = term;
    former.vote = vote;
    former.commit = log.commit;
    former.lastIndex = log.lastIndex;
  }

  /** R5 for entries committed before, R8 for those that this member is the first to commit. */
  #checkCommit({ id, core }: Observed, former: number, members: readonly Observed[]): void {
    const { log, configuration } = core;
    const isKnown = log.firstIndex - 1 <= Math.max(former, this.committed.length);
    this.#require('R5', isKnown, `member ${id} has a state that no one committed`);
    for (const entry of log.slice(Math.max(former + 1, log.firstIndex), log.commit)) {
      const committed = this.committed[entry.index - 1];
      if (committed !== undefined) {
        const isSame = isSameEntry(committed, entry);
        this.#require('R5', isSame, `member ${id} commits another entry at ${entry.index}`);
        continue;
      }
      const holders = members.filter(({ disk }) => disk.holds(entry.index, entry.term));
      const isDurable = isQuorum(configuration.electorate, (voter) =>
        holders.some((member) => member.id === voter),
      );
      this.#require('R8', isDurable, `${entry.index}@${entry.term} is durable on ${holders.length} only`);
      this.#checkKept(entry, members);
      this.#commit(entry);
    }
  }

  #commit(entry: Entry): void {
    this.committed.push(entry);
    const isOverlapping = this.configs.committed(entry);
    this.#require('R9', isOverlapping, `quorums before and after ${entry.index} have no member in common`);
    const former = this.#states[this.#states.length - 1]!;
    this.#states.push(stateAfter(former, entry, this.configs.at(entry.index)));
  }

  /** R9: a member follows the configuration that the entries it has applied amount to. */
  #checkConfiguration({ id, core }: Observed): void {
    const { log, configuration } = core;
    if (configuration.isEmpty && log.applied === 0) return;
    const model = formatConfState(this.configs.at(log.applied));
    const isSame = formatConfState(configuration.confState) === model;
    this.#require('R9', isSame, `member ${id} does not follow ${model} at ${log.applied}`);
  }

  /**
   * R4 before it can be broken: no member without the committed entry has a log, as its disk holds it, that a quorum of
   * the configuration that it follows would vote for. It shows a wrong commit in the step that makes it, although the
   * fatal election may never come.
   */
  #checkKept(entry: Entry, members: readonly Observed[]): void {
    for (const candidate of members) {
      const { disk } = candidate;
      if (disk.holds(entry.index, entry.term) || candidate.core.configuration.isEmpty) continue;
      const electorate = electorateOf(this.configs.at(commitOf(candidate)));
      const isVoter =
        electorate.incoming.includes(candidate.id) || electorate.outgoing.includes(candidate.id);
      const lastTerm = disk.termAt(disk.lastIndex);
      const isElectable = isQuorum(
        electorate,
        (voter) => members.find(({ id }) => id === voter)?.disk.isBehind(disk.lastIndex, lastTerm) ?? false,
      );
      this.#require(
        'R4',
        !isVoter || !isElectable,
        `member ${candidate.id} without committed ${entry.index}@${entry.term} can be elected`,
      );
    }
  }

  /** R1, and R4 for a leader that is new. */
  #claim({ id, core }: Observed): void {
    const other = this.#leaders.get(core.term);
    this.#require('R1', other === undefined || other === id, `term ${core.term} has two leaders`);
    this.#leaders.set(core.term, id);
    for (const entry of this.committed) {
      if (entry.index < core.log.firstIndex) continue;
      const isHeld = core.log.matches(entry.index, entry.term);
      this.#require('R4', isHeld, `leader ${id} of term ${core.term} lacks committed ${entry.index}`);
    }
  }

  #vote(voter: MemberId, term: number, candidate: MemberId): void {
    const key = `${voter}@${term}`;
    const former = this.#votes.get(key);
    const isSame = former === undefined || former === candidate;
    this.#require('R6', isSame, `member ${voter} votes for ${former} and ${candidate} in term ${term}`);
    this.#votes.set(key, candidate);
  }

  #require(property: Property, holds: boolean, message: string): void {
    if (!holds && !this.#ignored.has(property)) throw new Violation(property, message);
  }
}

/** The commit index that a member knows, or will know when it starts. */
function commitOf({ isUp, core, disk, machine }: Observed): number {
  if (isUp) return core.log.commit;
  const known = Math.max(disk.hardState.commit, machine.durable.index);
  const changes = disk.entries.filter(
    ({ kind, index }) => kind === 'config' && index > machine.durable.index,
  );
  return Math.max(known, changes.at(-2)?.index ?? 0);
}

function isSameEntry(left: Entry, right: Entry): boolean {
  return left.term === right.term && isSameData(left, right);
}

function isSameData(left: Entry, right: Entry): boolean {
  return left.data.length === right.data.length && left.data.every((byte, at) => byte === right.data[at]);
}
