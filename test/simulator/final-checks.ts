import { etcdserverpb } from '@conclave/protocol';
import { type CommittedLog } from './checks/committed-log.js';
import { type Oracle } from './checks/oracle.js';
import { type Auditor } from './clients/auditor.js';
import { type Connection } from './clients/connection.js';
import { rangeRequest } from './clients/requests.js';
import { type WatchClient } from './clients/watch-client.js';
import { electionMs } from './world/engine-settings.js';
import { type Member } from './world/member.js';
import { type Schedule } from './world/schedule.js';
import { type Workforce } from './workers/workforce.js';
import { Violation } from './world/violation.js';

export interface FinalParts {
  readonly schedule: Schedule;
  readonly members: readonly Member[];
  readonly log: CommittedLog;
  readonly oracle: Oracle;
  readonly watchClients: readonly WatchClient[];
  readonly operator: Connection;
  readonly auditor: Auditor;
  readonly workforce: Workforce | undefined;
  /** The longest TTL of a lease. */
  readonly ttlMs: number;
  /** The longest flush of a store: a state that a member lacks waits for one. */
  readonly flushMs: number;
  /** A client waits for an answer. */
  isWaiting(): boolean;
}

/** Within this a healthy member must serve. */
const startBoundMs = 10_000;

/** When nothing breaks any more everything must come to rest: the liveness half of a run. */
export class FinalChecks {
  constructor(private readonly parts: FinalParts) {}

  async run(): Promise<void> {
    const { log, watchClients, ttlMs, flushMs } = this.parts;
    await this.serving();
    await this.formerMembersLeft();
    if (this.parts.workforce !== undefined) await this.turnsOf(this.parts.workforce);
    await this.within('R11', 'no client waits for an answer', 12_000, () => !this.parts.isWaiting());
    const isRoomy = (): boolean => !log.model.isOutOfSpace;
    await this.within('R11', 'the alarm is disarmed', 20_000, isRoomy);
    const bound = ttlMs * 1.1 + electionMs + 4_000;
    await this.within(
      'E2',
      'all leases that nobody renews have run out',
      bound,
      () => log.model.leases.size === 0,
    );
    await this.pause(2_000 + flushMs);
    for (const client of watchClients) client.checkCurrent();
    await this.converged();
    await this.compareHashes();
    await this.compareHistories();
    await this.restart();
    await this.compareHashes();
    await this.compareHistories();
  }

  /** M5, L4: nobody waits for ever, whoever died before; and the observer comes to know the end. */
  private async turnsOf(workforce: Workforce): Promise<void> {
    await this.within('M5', 'every worker has had its turn', 60_000, () => workforce.areOver);
    await this.within('L2', 'the observer has seen the last leader go', 10_000, () => workforce.isObserved);
    workforce.end();
  }

  /** Every member is up, and answers a read that sees everything. */
  private async serving(): Promise<void> {
    const areUp = (): boolean => this.areStarted && this.members.every(({ engine }) => engine !== undefined);
    await this.within('R11', 'healthy members serve', startBoundMs, areUp);
    const isLeft = (): boolean => !this.parts.log.configuration.isJoint;
    await this.within('R11', 'the joint configuration was left', startBoundMs, isLeft);
    if (this.parts.members.length === 1) return;
    const end = this.parts.schedule.now + startBoundMs;
    for (const member of this.voters) await this.answers(member, end);
  }

  /** Those that the cluster has now. */
  private get members(): readonly Member[] {
    return this.parts.members.filter(({ isMember }) => isMember);
  }

  /** They alone answer reads that need the leader. */
  private get voters(): readonly Member[] {
    return this.members.filter(({ isVoter }) => isVoter);
  }

  /** All that were added have a machine. */
  private get areStarted(): boolean {
    const { voters, learners } = this.parts.log.configuration;
    const ids = new Set(this.parts.members.map(({ id }) => id));
    return [...voters, ...learners].every((id) => ids.has(id));
  }

  /** R13: a former member learns that it is none any more, and ends. */
  private async formerMembersLeft(): Promise<void> {
    const { members, log } = this.parts;
    // Who was never told of the cluster connects to nobody.
    const { removed } = log.configuration;
    const haveLeft = (): boolean =>
      members.every(({ id, isUp, knowsCluster }) => !isUp || !knowsCluster || !removed.has(id));
    await this.within('R13', 'removed members have ended', 20_000, haveLeft);
    for (const member of members) if (member.isUp && !member.isMember) member.retire();
  }

  /** A member answers a linearizable read until `end`, however often it has to be asked. */
  private async answers(member: Member, end: number): Promise<void> {
    const { schedule, operator } = this.parts;
    const left = (): number => Math.max(0, end - schedule.now);
    for (;;) {
      let outcome: string | undefined;
      operator.home.stay(member);
      operator.call(rangeRequest(everythingAt(0)), ({ kind }) => (outcome = kind));
      await this.within('R11', `member ${member.number} answers a read`, left(), () => outcome !== undefined);
      if (outcome === 'ok') return;
      await this.pause(50);
      if (!member.isVoter) return;
      if (left() === 0)
        throw new Violation('R11', `member ${member.number} refuses reads in a healthy cluster`);
    }
  }

  /** All members have applied the same entries. */
  private async converged(): Promise<void> {
    const { log } = this.parts;
    const areEqual = (): boolean => this.members.every((member) => member.log.applied === log.last);
    await this.within('R11', 'all members have applied all entries', 5_000, areEqual);
  }

  /** K10: all voters have the same history; learners tell no hash, as etcd's do not. */
  private async compareHashes(): Promise<void> {
    const { auditor, log } = this.parts;
    for (const member of this.voters) {
      let isTold = false;
      auditor.ask(member, log.model.revision, (isIt) => (isTold = isIt));
      await this.within('K10', `member ${member.number} tells its hash`, 10_000, () => isTold);
    }
  }

  private async within(property: string, what: string, ms: number, isSo: () => boolean): Promise<void> {
    const { schedule } = this.parts;
    if (await schedule.run(schedule.now + ms, isSo)) return;
    if (!isSo()) throw new Violation(property, `after ${ms} ms it is not so that ${what}`);
  }

  private async pause(ms: number): Promise<void> {
    const { schedule } = this.parts;
    await schedule.run(schedule.now + ms, () => false);
  }

  /** Stops all members in order and starts them again. */
  private async restart(): Promise<void> {
    const { members } = this;
    let closed = 0;
    const closing = members.map((member) => member.close().then(() => closed++));
    const areClosed = (): boolean => closed === members.length;
    await this.within('R11', 'members that are told to close have closed', startBoundMs, areClosed);
    await Promise.all(closing);
    for (const member of members) member.start();
    await this.serving();
  }

  private async compareHistories(): Promise<void> {
    const { operator } = this.parts;
    for (const member of this.voters) {
      operator.home.stay(member);
      await this.compareHistory(25);
    }
  }

  /** Every revision that may be read, and one that may not be, must read as the model says (K7). */
  private async compareHistory(samples: number): Promise<void> {
    const { log } = this.parts;
    const { revision, compacted } = log.model;
    const first = Math.max(1, compacted - 1);
    const step = Math.max(1, Math.floor((revision - first) / samples));
    for (let at = revision + 1; at >= first; at -= at > revision - 3 ? 1 : step) await this.readAll(at);
    await this.readAll(first);
  }

  private async readAll(revision: number): Promise<void> {
    let isAnswered = false;
    this.parts.operator.call(rangeRequest(everythingAt(revision)), (outcome) => {
      isAnswered = outcome.kind !== 'unknown';
    });
    await this.within('R11', 'a read is answered', 10_000, () => isAnswered);
  }
}

/** All keys at a revision; 0 is now. */
function everythingAt(revision: number): etcdserverpb.RangeRequest {
  const everything = Buffer.from('\0');
  return etcdserverpb.RangeRequest.fromPartial({
    key: everything,
    range_end: everything,
    revision: BigInt(revision),
  });
}
