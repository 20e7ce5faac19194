import { type Draw, type Fate } from '../world/fate.js';
import { type Schedule } from '../world/schedule.js';
import { type Network } from './network.js';
import { type NetworkCounts } from './network-counts.js';
import { type NetworkProfile, type TroubleKind } from './network-profile.js';

/** What troubles can be made for. */
export interface Troubled {
  readonly number: number;
  readonly isUp: boolean;
  stop(): void;
  resume(): void;
  crash(kind: 'power' | 'kill'): void;
}

export interface TroubleParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly profile: NetworkProfile;
  readonly network: Network;
  readonly counts: NetworkCounts;
  readonly members: readonly Troubled[];
  /** The member that leads, as far as anybody can tell; 0 for nobody. */
  leader(): number;
  /** Calls once, when the next entry is known to be committed. */
  onCommit(run: () => void): void;
}

/** Breaks the network and its members time after time, each trouble with a fate of its own, until it is told to stop. */
export class Trouble {
  private readonly mendings = new Set<() => void>();
  private isOver = false;
  private count = 0;
  private ambushes = 0;

  constructor(private readonly parts: TroubleParts) {}

  start(): void {
    const { fate, schedule, profile } = this.parts;
    if (profile.troubleEveryMs === 0 || profile.troubles.length === 0) return;
    const number = ++this.count;
    const pause = fate.below(2_000 * profile.troubleEveryMs, 'time to trouble', 0, number) / 1000;
    schedule.after(pause, 'trouble is due', () => {
      if (this.isOver) return;
      this.make(number);
      this.start();
    });
  }

  /** Mends everything, and breaks nothing more. */
  stop(): void {
    this.isOver = true;
    for (const mend of this.mendings) mend();
    this.mendings.clear();
  }

  /**
   * A joint configuration begins: in two of three something happens to its leader, or between those that go with its end and all
   * others, before it is left.
   */
  ambush(leaving: readonly number[]): void {
    const { fate, schedule, counts } = this.parts;
    const draw = fate.draw('ambush', 0, ++this.ambushes);
    if (this.isOver || draw.chance(0.33)) return;
    counts.jointStrikes++;
    schedule.after(draw.pick([0, 0, 1, 20]), 'an ambush', () => {
      const leader = this.parts.leader();
      if (this.isOver || leader === 0) return;
      const away = leaving.length > 0 && draw.chance(0.5) ? leaving : [leader];
      const kind = draw.pick(['cut', 'cut', 'kill', 'power'] as const);
      if (kind !== 'cut') return this.parts.members[leader - 1].crash(kind);
      const all = this.parts.members.map(({ number }) => number);
      const others = all.filter((number) => !away.includes(number));
      this.mendLater(this.separate(away, others), 500 + draw.below(4_000), 'the ambush is over');
    });
  }

  private make(number: number): void {
    const { fate, profile, counts, schedule } = this.parts;
    const draw = fate.draw('trouble', 0, number);
    const kind = draw.pick(profile.troubles);
    const member = this.member(draw);
    counts[kind]++;
    schedule.note(`trouble ${number}: ${kind} at ${member}`);
    const mend = this.begin(kind, member, draw);
    if (mend === undefined) return;
    this.mendLater(mend, draw.below(2_000 * profile.troubleMs) / 1000, `trouble ${number} is over`);
  }

  private mendLater(mend: () => void, ms: number, label: string): void {
    const over = (): void => {
      if (this.mendings.delete(over)) mend();
    };
    this.mendings.add(over);
    this.parts.schedule.after(ms, label, over);
  }

  private member(draw: Draw): number {
    const { members, profile } = this.parts;
    const leader = this.parts.leader();
    const any = 1 + draw.below(members.length);
    return draw.chance(profile.leaderShare) && leader > 0 ? leader : any;
  }

  /** @returns how to mend it, unless it mends itself. */
  private begin(kind: TroubleKind, member: number, draw: Draw): (() => void) | undefined {
    const { members, network } = this.parts;
    const all = members.map(({ number }) => number);
    const others = all.filter((other) => other !== member);
    const troubled = members[member - 1];
    switch (kind) {
      case 'pauses':
        troubled.stop();
        return () => troubled.resume();
      case 'isolations':
        return this.separate([member], others);
      case 'refusedMembers':
        for (const other of others) network.reject(other, member);
        return this.separate([member], others);
      case 'oneWayCuts': {
        const targets = draw.chance(0.5) ? others : [draw.pick(others)];
        const sends = draw.chance(0.5);
        return each(targets.map((to) => (sends ? network.cut(member, to) : network.cut(to, member))));
      }
      case 'bridges': {
        const [left, right] = halves(others, draw);
        return this.separate(left, right);
      }
      case 'partitions': {
        const [left, right] = halves(all, draw);
        return this.separate(left, right);
      }
      case 'clogs': {
        const targets = draw.chance(0.5) ? others : [draw.pick(others)];
        return each(targets.map((to) => network.clog(member, to)));
      }
      case 'resets':
        for (const other of others) {
          network.reset(member, other);
          if (draw.chance(0.5)) network.reset(other, member);
        }
        return undefined;
      case 'kills':
        troubled.crash('kill');
        return undefined;
      case 'blackouts':
        for (const each of members) each.crash('power');
        return undefined;
      case 'majorityLosses':
        this.parts.onCommit(() => this.loseMajority(draw));
        return undefined;
    }
  }

  /** Whatever that majority did not have on disk is with those alone that cannot be reached. */
  private loseMajority(draw: Draw): void {
    if (this.isOver) return;
    const { members } = this.parts;
    const leader = this.parts.leader();
    const all = members.filter(({ isUp }) => isUp).map(({ number }) => number);
    const others = all.filter((number) => number !== leader);
    const away: number[] = [];
    while (away.length < Math.floor((all.length - 1) / 2))
      away.push(...others.splice(draw.below(others.length), 1));
    const lost = [...others, ...all.filter((number) => number === leader)];
    const mend = this.separate(away, lost);
    for (const number of lost) members[number - 1].crash('power');
    this.mendLater(mend, 4_000 + draw.below(4_000), 'the others are reached again');
  }

  private separate(left: readonly number[], right: readonly number[]): () => void {
    const { network } = this.parts;
    return each(left.flatMap((a) => right.flatMap((b) => [network.cut(a, b), network.cut(b, a)])));
  }
}

function each(actions: readonly (() => void)[]): () => void {
  return () => {
    for (const action of actions) action();
  };
}

function halves(members: readonly number[], draw: Draw): [number[], number[]] {
  const left: number[] = [];
  const right: number[] = [];
  for (const member of members) (draw.chance(0.5) ? left : right).push(member);
  return [left, right];
}
