import { type NetworkCounts } from '../network/network-counts.js';
import { type Draw } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { type Profile } from '../world/profile.js';
import { type ClientParts, Connection, sendsAway as leavesOpen } from './connection.js';
import { type Request } from './invocation.js';
import { drawChanges } from './joint-change.js';
import {
  addRequest,
  changesRequest,
  moveLeaderRequest,
  promoteRequest,
  removeRequest,
} from './member-requests.js';

export interface AdministratorParts extends ClientParts {
  readonly profile: Profile;
  readonly counts: NetworkCounts;
  /** The member that leads, as far as anybody can tell; 0 for nobody. */
  leader(): number;
}

const actions = [
  'learner',
  'voter',
  'promote',
  'remove',
  'remove the leader',
  'move the leader',
  'wipe',
] as const;

/** More members than this were never in one cluster here. */
const membersMax = 9;

/** Somebody who changes the members all the time: adds, promotes, removes, moves the leader, and loses whole machines. */
export class Administrator {
  private readonly connection: Connection;
  private acts = 0;
  private isOver = false;
  /** Voters that a change may cost which is under way, or of which nobody heard whether it came into force. */
  private atStake = { underWay: 0, unsure: 0 };
  /** All who do this. */
  all: readonly Administrator[] = [this];

  constructor(
    private readonly parts: AdministratorParts,
    private readonly client: number,
  ) {
    this.connection = new Connection(parts, client);
  }

  start(): void {
    const { fate, schedule, profile } = this.parts;
    if (profile.administratorEveryMs === 0) return;
    const number = ++this.acts;
    const pause =
      fate.below(2_000 * profile.administratorEveryMs, 'administrator', this.client, number) / 1000;
    schedule.after(pause, 'the administrator is awake', () => {
      if (this.isOver) return;
      if (!this.connection.isWaiting) this.act(fate.draw('act of the administrator', this.client, number));
      this.start();
    });
  }

  stop(): void {
    this.isOver = true;
  }

  broken(member: Member): void {
    this.connection.broken(member);
  }

  get isWaiting(): boolean {
    return this.connection.isWaiting;
  }

  /** Voters that may go without anybody asking for it any more. */
  get open(): number {
    const { underWay, unsure } = this.atStake;
    return Math.max(this.isWaiting ? 1 : 0, underWay, unsure);
  }

  private act(draw: Draw): void {
    const { counts, members, log } = this.parts;
    const { voters, learners } = log.configuration;
    const action = draw.pick(actions);
    const lost = members.find(({ id, gone }) => gone === 'wiped' && log.configuration.has(id));
    if (lost !== undefined) return this.change(removeRequest(lost.id), () => counts.removals++);
    const any = draw.pick([...voters]);
    if (this.parts.fate.chance(this.parts.profile.jointShare, 'joint change', this.client, this.acts))
      return this.changeSeveral(draw);
    switch (action) {
      case 'learner':
        // One learner at a time; it is what is to become a voter.
        return learners.size > 0 ? this.promote() : this.add(true, () => counts.learners++);
      case 'voter':
        return this.add(false, () => counts.additions++);
      case 'promote':
        return this.promote();
      case 'remove':
        return this.remove(draw.pick([...voters, ...learners]));
      case 'remove the leader':
        return this.remove(this.leader?.id ?? any);
      case 'move the leader':
        if (this.leader !== undefined) this.connection.home.stay(this.leader);
        return this.moveLeader(any);
      case 'wipe':
        return this.wipe(draw);
    }
  }

  private moveLeader(id: bigint): void {
    const { connection, parts } = this;
    if (connection.home.find() === undefined) return;
    connection.call(moveLeaderRequest(id), ({ kind }) => {
      if (kind === 'ok') parts.counts.leaderMoves++;
    });
  }

  private promote(): void {
    for (const id of this.parts.log.configuration.learners) {
      return this.change(promoteRequest(id), () => this.parts.counts.promotions++);
    }
  }

  private get leader(): Member | undefined {
    return this.parts.members.at(this.parts.leader() - 1);
  }

  private add(isLearner: boolean, done: () => void): void {
    const { length } = this.parts.members;
    if (length >= membersMax) return;
    this.change(addRequest(this.newUrl(0), isLearner), done);
  }

  /** @param at Of several in one act. */
  private newUrl(at: number): string {
    return `http://127.${at}.${this.client}.${this.acts % 250}:2380`;
  }

  /** Two are left at least, so that what they do stays worth watching. */
  private remove(id: bigint): void {
    if (this.parts.log.configuration.voters.has(id) && this.spare < 1) return;
    this.change(removeRequest(id), () => this.parts.counts.removals++);
  }

  /** Voters that may be removed. */
  private get spare(): number {
    const open = this.all.reduce((sum, each) => sum + each.open, 0);
    return this.parts.log.configuration.voters.size - 2 - open;
  }

  /** Through a joint configuration. */
  private changeSeveral(draw: Draw): void {
    const { members, log, counts } = this.parts;
    const room = membersMax - members.length;
    const changes = drawChanges(draw, log.configuration, room, this.spare, (at) => this.newUrl(at));
    if (changes === undefined) return;
    const voters = changes.remove.filter((id) => log.configuration.voters.has(id)).length;
    this.change(changesRequest(changes), () => counts.jointChanges++, voters);
  }

  /** Loses a machine and its disk, when a quorum is left whatever was asked for before. */
  private wipe(draw: Draw): void {
    const { members, log, counts } = this.parts;
    const { voters, isJoint } = log.configuration;
    const sound = members.filter(({ isVoter, knowsCluster }) => isVoter && knowsCluster);
    const isOpen = isJoint || this.all.some(({ open }) => open > 0);
    if (isOpen || sound.length - 1 < Math.floor(voters.size / 2) + 1) return;
    counts.wipes++;
    draw.pick(sound).wipe();
  }

  /** @param voters How many of them it may remove. */
  private change(request: Request, done: () => void, voters = 1): void {
    const { atStake, connection } = this;
    if (connection.home.find() === undefined) return;
    atStake.underWay = voters;
    connection.call(request, (outcome) => {
      const { kind } = outcome;
      atStake.underWay = 0;
      if (kind === 'ok') done();
      if (kind === 'unknown' || (kind === 'refused' && leavesOpen.has(outcome.error.reason)))
        atStake.unsure = Math.max(atStake.unsure, voters, 1);
    });
  }
}
