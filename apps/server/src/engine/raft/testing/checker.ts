import { type Entry, type MemberId, type Message, NO_MEMBER } from '../message.js';
import { type Raft } from '../raft.js';
import { type SimulatedDisk } from './simulated-disk.js';

/** The properties that are checked after every step; the letters are those of the reliability specification. */
export type Property = 'R1' | 'R2' | 'R3' | 'R4' | 'R5' | 'R6' | 'R7' | 'R8' | 'R10';

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
  readonly #quorum: number;
  readonly #ignored: ReadonlySet<Property>;
  readonly #leaders = new Map<number, MemberId>();
  /** Every entry that ever stood in a log, with the term before it. */
  readonly #known = new Map<string, { entry: Entry; previousTerm: number }>();
  readonly #votes = new Map<string, MemberId>();
  readonly #former = new Map<MemberId, Former>();

  constructor(voters: number, ignored: readonly Property[]) {
    this.#quorum = Math.floor(voters / 2) + 1;
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

  /** Entries on their way to the disk: R3, log matching. */
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
  applied({ id, disk }: Observed, appliedBefore: number, entries: readonly Entry[]): void {
    let index = appliedBefore;
    for (const entry of entries) {
      index += 1;
      const committed = this.committed[index - 1];
      const isSame = committed !== undefined && entry.index === index && isSameEntry(committed, entry);
      this.#require('R5', isSame, `member ${id} applies another entry at ${index}`);
      this.#require('R5', disk.termAt(index) === entry.term, `member ${id} applies what it can lose`);
    }
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
  check(member: Observed, disks: readonly SimulatedDisk[]): void {
    const { id, core } = member;
    const former = this.#former.get(id)!;
    const { term, vote, log } = core;
    this.#require('R6', term >= former.term, `member ${id} goes back to term ${term}`);
    const isVoteKept = term > former.term || former.vote === NO_MEMBER || vote === former.vote;
    this.#require('R6', isVoteKept, `member ${id} votes twice in term ${term}`);
    this.#require('R6', log.commit >= former.commit, `member ${id} takes back commit ${former.commit}`);
    this.#checkCommit(member, former.commit, disks);
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
  #checkCommit({ id, core }: Observed, from: number, disks: readonly SimulatedDisk[]): void {
    for (const entry of core.log.slice(from + 1, core.log.commit)) {
      const committed = this.committed[entry.index - 1];
      if (committed !== undefined) {
        const isSame = isSameEntry(committed, entry);
        this.#require('R5', isSame, `member ${id} commits another entry at ${entry.index}`);
        continue;
      }
      const copies = disks.filter((disk) => disk.termAt(entry.index) === entry.term).length;
      this.#require(
        'R8',
        copies >= this.#quorum,
        `${entry.index}@${entry.term} is durable on ${copies} only`,
      );
      this.#checkKept(entry, disks);
      this.committed[entry.index - 1] = entry;
    }
  }

  /**
   * R4 before it can be broken: no member without the committed entry has a log, as its disk holds it, that a majority
   * would vote for. It shows a wrong commit in the step that makes it, although the fatal election may never come.
   */
  #checkKept(entry: Entry, disks: readonly SimulatedDisk[]): void {
    for (const candidate of disks) {
      if (candidate.termAt(entry.index) === entry.term) continue;
      const lastTerm = candidate.termAt(candidate.lastIndex);
      const voters = disks.filter((disk) => {
        const term = disk.termAt(disk.lastIndex);
        return lastTerm > term || (lastTerm === term && candidate.lastIndex >= disk.lastIndex);
      });
      const isElectable = voters.length >= this.#quorum;
      this.#require(
        'R4',
        !isElectable,
        `a member without committed ${entry.index}@${entry.term} can be elected`,
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

function isSameEntry(left: Entry, right: Entry): boolean {
  return left.term === right.term && isSameData(left, right);
}

function isSameData(left: Entry, right: Entry): boolean {
  return left.data.length === right.data.length && left.data.every((byte, at) => byte === right.data[at]);
}
