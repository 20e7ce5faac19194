import type { ChainValues, Integrity } from '../apply/chains.js';
import type { ConfState, MemberId } from '../raft/message.js';

/** Rounds that are compared at a time: a member that lags answers late. */
const roundsMax = 8;

/** What the reports of one round say. */
export interface Verdict {
  /** Members whose chains differ from those of a majority, and in what. */
  readonly differing: ReadonlyMap<MemberId, Exclude<Integrity, 'sound'>>;
  /** Members differ, and those who were heard have no majority on one side. */
  readonly isUndecided: boolean;
  /** All voters have reported. */
  readonly isComplete: boolean;
}

/** The reports of members for one index. */
export interface Round {
  readonly index: number;
  readonly reports: Map<MemberId, ChainValues>;
}

/**
 * The indexes at which members compare their chains, and what each reported there.
 *
 * Invariant: no round at or below `over` is begun. A round that made room for another would else come back with every late
 * report of it, be answered to everybody, and make room for one that comes back in the same way: messages without end.
 */
export class ChainRounds {
  private readonly rounds = new Map<number, Round>();
  /** The highest index whose round made room for another. */
  private over = 0;

  /** @param member This one. */
  constructor(private readonly member: MemberId) {}

  /** Notes a report; returns its round, undefined when that is over, or when there are too many to begin another. */
  add(member: MemberId, index: number, values: ChainValues): Round | undefined {
    const round = this.rounds.get(index) ?? this.begin(index);
    round?.reports.set(member, values);
    return round;
  }

  get(index: number): Round | undefined {
    return this.rounds.get(index);
  }

  /** The lowest index for which this member has not reported yet; infinity when there is none. */
  nextOpen(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { index, reports } of this.rounds.values())
      if (!reports.has(this.member)) next = Math.min(next, index);
    return next;
  }

  delete(index: number): void {
    this.rounds.delete(index);
  }

  clear(): void {
    this.rounds.clear();
  }

  /** Makes room by the oldest round to which this member has nothing more to say. */
  private begin(index: number): Round | undefined {
    if (index <= this.over) return undefined;
    if (this.rounds.size >= roundsMax) {
      const indexes = [...this.rounds.values()].filter(({ reports }) => reports.has(this.member));
      if (indexes.length === 0) return undefined;
      const oldest = Math.min(...indexes.map((old) => old.index));
      this.rounds.delete(oldest);
      this.over = Math.max(this.over, oldest);
      if (index <= this.over) return undefined;
    }
    const round = { index, reports: new Map() };
    this.rounds.set(index, round);
    return round;
  }
}

/** What a round says, by the majority of the voters of a configuration. A differing log outweighs differing results. */
export function judge({ reports }: Round, { voters }: ConfState): Verdict {
  const differing = new Map<MemberId, Exclude<Integrity, 'sound'>>();
  const results = compare(reports, voters, 'results');
  const log = compare(reports, voters, 'log');
  for (const member of results.differing) differing.set(member, 'results-differ');
  for (const member of log.differing) differing.set(member, 'log-differs');
  const isComplete = voters.every((voter) => reports.has(voter));
  return { differing, isUndecided: results.isUndecided || log.isUndecided, isComplete };
}

function compare(
  reports: Round['reports'],
  voters: readonly MemberId[],
  chain: keyof ChainValues,
): { readonly differing: readonly MemberId[]; readonly isUndecided: boolean } {
  const counts = new Map<bigint, number>();
  for (const voter of voters) {
    const value = reports.get(voter)?.[chain];
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const right = [...counts].find(([, count]) => 2 * count > voters.length)?.[0];
  if (right === undefined) return { differing: [], isUndecided: counts.size > 1 };
  const differing = [...reports].filter(([, values]) => values[chain] !== right);
  return { differing: differing.map(([member]) => member), isUndecided: false };
}
