import { type Append, type Entry, type Message } from '../../../apps/server/src/engine/raft/message.js';
import { Violation } from '../world/violation.js';
import { type CommittedLog } from './committed-log.js';

/** What is known of one place in a log under one term. */
interface KnownEntry {
  readonly previousTerm: number;
  readonly data: Uint8Array;
}

const isRaft: ReadonlySet<string> = new Set<Message['kind']>([
  'pre-vote',
  'pre-vote-reply',
  'vote',
  'vote-reply',
  'append',
  'append-reply',
  'append-rejection',
  'heartbeat',
  'heartbeat-reply',
  'read-index',
  'read-index-reply',
  'read-index-refusal',
  'stale-term',
]);

/**
 * Raft's own properties, as far as messages show them: what a member says binds it, also over its crashes. Looks at no
 * state of the engine.
 */
export class RaftCheck {
  /** The member that claimed the newest term; 0 before the first claim. */
  leader = 0;
  term = 0;
  /** Told when a member leads a new term. */
  onLeader: (() => void) | undefined;
  /** The last entry that a member has applied. */
  appliedBy: (member: number) => number = () => 0;
  private readonly leaders = new Map<number, number>();
  private readonly votes = new Map<string, bigint>();
  private readonly terms = new Map<number, number>();
  private readonly known = new Map<string, KnownEntry>();
  /** The terms of the entries that the leader of `term` has sent, by index. */
  private readonly sentTerms = new Map<number, number>();
  /** Where the leader of `term` has sent changes of the members. */
  private sentChanges: number[] = [];
  /** The highest commit index that anybody has told. */
  private commit = 0;

  constructor(private readonly log: CommittedLog) {}

  /** Terms that had a leader. */
  get leaderTerms(): number {
    return this.leaders.size;
  }

  /** A message leaves member `from`. */
  sent(from: number, message: { readonly kind: string; readonly term: number }): void {
    if (!isRaft.has(message.kind)) return;
    const raft = message as Message;
    this.checkTerm(from, raft);
    switch (raft.kind) {
      case 'heartbeat':
        this.claims(from, raft.term, raft.from);
        this.commits(from, raft.term, raft.commit);
        break;
      case 'append':
        this.claims(from, raft.term, raft.from);
        this.appends(raft);
        this.commits(from, raft.term, raft.commit);
        break;
      case 'vote':
        this.votesFor(from, raft.term, raft.from);
        break;
      case 'vote-reply':
        if (raft.granted) this.votesFor(from, raft.term, raft.to);
        break;
      default:
        break;
    }
  }

  /** R6. A pre-vote and its grant speak of a term that nobody is in. */
  private checkTerm(from: number, { kind, term }: Message): void {
    if (kind === 'pre-vote' || kind === 'pre-vote-reply') return;
    const before = this.terms.get(from) ?? 0;
    if (term < before)
      throw new Violation('R6', `member ${from} is back in term ${term} after term ${before}`);
    this.terms.set(from, term);
  }

  /** R1; and R13: who never had a vote does not lead, nor does who knows that it was removed before. Others may not know it yet. */
  private claims(member: number, term: number, id: bigint): void {
    const other = this.leaders.get(term);
    if (other === member) return;
    if (other !== undefined) throw new Violation('R1', `members ${other} and ${member} lead term ${term}`);
    const { configuration } = this.log;
    const removedIn = configuration.removed.get(id);
    if (removedIn === undefined && !configuration.mayLead(id))
      throw new Violation('R13', `member ${member} leads term ${term} without ever having had a vote`);
    if (removedIn !== undefined && removedIn <= this.appliedBy(member))
      throw new Violation(
        'R13',
        `member ${member} leads term ${term}, and knows that entry ${removedIn} removed it`,
      );
    this.leaders.set(term, member);
    if (term < this.term) return;
    this.term = term;
    this.leader = member;
    this.sentTerms.clear();
    this.sentChanges = [];
    this.onLeader?.();
  }

  /** R6: one vote per term. */
  private votesFor(voter: number, term: number, candidate: bigint): void {
    const key = `${voter}@${term}`;
    const before = this.votes.get(key);
    if (before !== undefined && before !== candidate) {
      throw new Violation('R6', `member ${voter} votes for two members in term ${term}`);
    }
    this.votes.set(key, candidate);
  }

  private appends({ entries, previousTerm, term, commit }: Append): void {
    let before = previousTerm;
    for (const entry of entries) {
      this.checkMatching(entry, before);
      this.checkComplete(entry, term);
      before = entry.term;
      if (term !== this.term) continue;
      this.sentTerms.set(entry.index, entry.term);
      if (entry.kind === 'config') this.changes(entry, term, commit);
    }
  }

  /** R9: a leader begins a change of the members only when the one before is committed. */
  private changes({ index, term: entryTerm }: Entry, term: number, commit: number): void {
    const pending = this.sentChanges.filter(
      (other) => other < index && other > Math.max(commit, this.log.last),
    );
    this.sentChanges.push(index);
    if (entryTerm !== term || pending.length === 0) return;
    throw new Violation(
      'R9',
      `the members change at entry ${index}, and at ${pending[0]}, which is not committed`,
    );
  }

  /**
   * Raft 5.4.2: a leader commits entries of earlier terms only with one of its own. Who has led meanwhile may know of a
   * commit that it told nobody; all others know only what was told.
   */
  private commits(leader: number, term: number, commit: number): void {
    if (commit <= Math.max(this.commit, this.log.last)) return;
    this.commit = commit;
    const entryTerm = this.sentTerms.get(commit);
    if (term !== this.term || entryTerm === undefined || entryTerm === term) return;
    for (let led = entryTerm; led < term; led++) if (this.leaders.get(led) === leader) return;
    throw new Violation(
      'R4',
      `the leader of term ${term} commits entry ${commit} of term ${entryTerm} by counting`,
    );
  }

  /** R3: an index and a term name one entry, and all entries before it. */
  private checkMatching({ index, term, data }: Entry, previousTerm: number): void {
    const key = `${index}@${term}`;
    const known = this.known.get(key);
    if (known === undefined) {
      this.known.set(key, { previousTerm, data: data.slice() });
    } else if (known.previousTerm !== previousTerm || Buffer.compare(known.data, data) !== 0) {
      throw new Violation('R3', `there are two entries ${key}`);
    }
  }

  /** R4: a leader of a term behind that of a commit has what was committed. */
  private checkComplete({ index, term, data }: Entry, leaderTerm: number): void {
    const committed = this.log.entries[index];
    if (index > this.log.last || leaderTerm <= committed.seenInTerm) return;
    if (committed.term === term && committed.data.equals(data)) return;
    throw new Violation(
      'R4',
      `the leader of term ${leaderTerm} has another entry ${index} than was committed`,
    );
  }
}
