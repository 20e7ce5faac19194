import { etcdserverpb } from '@conclave/protocol';
import type { ChainValues, Integrity } from '../apply/chains.js';
import { CommandKind } from '../apply/command.js';
import type { StateMachine } from '../apply/state-machine.js';
import type { Backend } from '../backend/backend.js';
import type { Clock } from '../platform/clock.js';
import type { Logger } from '../platform/logger.js';
import type { MemberId } from '../raft/message.js';
import type { RawNode } from '../raft/raw-node.js';
import { ChainRounds, judge, type Round } from './chain-rounds.js';
import type { ChainReport, PeerMessage } from './peer-message.js';
import type { ProposalDone } from './proposals.js';

/** How often the leader has the chains compared, and a member that is in doubt asks for a state. */
const everyMs = 1_000;
/** For so long members that are silent may still decide who is right. */
const undecidedMs = 10_000;

/** What the check asks of its member. */
export interface IntegrityHost {
  readonly memberId: MemberId;
  readonly raft: RawNode;
  readonly machine: StateMachine;
  readonly backend: Backend;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly send: (messages: readonly PeerMessage[]) => void;
  /** 0n when unknown. */
  readonly leader: () => MemberId;
  readonly proposeAsLeader: (kind: CommandKind, payload: Uint8Array, done: ProposalDone) => void;
  /** Asks the leader for a state; calls back when it answered or did not. */
  readonly askForState: (done: () => void) => void;
  /** This member's state is in doubt: it serves nobody and applies nothing until a state of the leader replaced it. */
  readonly doubted: () => void;
}

/**
 * Finds corruption: members compare the hash chains of their logs and results at the same indexes. The leader says at
 * which, about once a second, with its own values; everybody answers everybody, as soon as it has applied that far. The
 * majority of the voters is right.
 *
 * - A member whose results differ serves nobody and does not campaign. It goes on to append and to vote, because its log
 *   is that of the others, and asks the leader for a state until one has taken the place of its own.
 * - A member whose log differs does not vote or acknowledge either.
 * - A leader that finds itself to be that member steps down.
 * - When there is no majority on one side nobody knows who is right: the leader raises the CORRUPT alarm.
 *
 * Invariant: `machine.chains.integrity` is durable, so that a restart does not make a doubted member trusted.
 */
export class IntegrityCheck {
  private readonly rounds: ChainRounds;
  /** The next index to report on. */
  private awaited = Number.POSITIVE_INFINITY;
  private dueAt = 0;
  private undecidedSince: number | undefined;
  private isAsking = false;

  constructor(private readonly host: IntegrityHost) {
    this.rounds = new ChainRounds(host.memberId);
  }

  get integrity(): Integrity {
    return this.host.machine.chains.integrity;
  }

  /** The member starts: what was found before still holds. */
  start(): void {
    if (this.integrity === 'sound') return;
    this.host.logger.error('the state of this member is in doubt since before it started', {
      integrity: this.integrity,
    });
    this.host.doubted();
  }

  tick(leads: boolean): void {
    const now = this.host.clock.now();
    if (!leads) this.undecidedSince = undefined;
    if (now < this.dueAt) return;
    this.dueAt = now + everyMs;
    if (this.integrity !== 'sound') return this.ask();
    if (!leads) return;
    if (this.undecidedSince !== undefined && now - this.undecidedSince >= undecidedMs) this.raiseAlarm();
    this.begin();
  }

  /** Entries up to `index` were applied. */
  applied(index: number): void {
    while (this.awaited <= index && this.integrity === 'sound') {
      const values = this.host.machine.chains.at(this.awaited);
      if (values === undefined) this.rounds.delete(this.awaited);
      else this.report(this.awaited, values);
      this.awaited = this.rounds.nextOpen();
    }
  }

  received({ from, index, log, results }: ChainReport): void {
    if (this.integrity !== 'sound' || !this.members().includes(from)) return;
    const round = this.rounds.add(from, index, { log, results });
    if (round === undefined) return;
    const own = round.reports.get(this.host.memberId);
    // Whoever leads asks again when an answer was lost.
    if (own !== undefined && from === this.host.leader()) this.send(index, own);
    this.awaited = this.rounds.nextOpen();
    this.applied(this.host.backend.applied.index);
    if (own !== undefined) this.consider(round);
  }

  /** What may leave this member: one in doubt does not campaign, and with a log in doubt it answers for nothing. */
  filter<T extends PeerMessage>(messages: readonly T[]): readonly T[] {
    const { integrity } = this;
    if (integrity === 'sound') return messages;
    return messages.filter(({ kind }) => {
      switch (kind) {
        case 'pre-vote':
        case 'vote':
          return false;
        case 'pre-vote-reply':
        case 'vote-reply':
        case 'append-reply':
          return integrity !== 'log-differs';
        default:
          return true;
      }
    });
  }

  /** Whether the core may hear of a message: nobody hands leadership to a member in doubt. */
  mayStep({ kind }: PeerMessage): boolean {
    return kind !== 'timeout-now' || this.integrity === 'sound';
  }

  /** A state from the leader took the place of this member's own. */
  restored(): void {
    this.rounds.clear();
    this.awaited = Number.POSITIVE_INFINITY;
  }

  private begin(): void {
    const { machine, backend, memberId } = this.host;
    const { index } = backend.applied;
    const values = machine.chains.at(index);
    const members = this.members();
    if (values === undefined || members.length < 2) return;
    const reports = this.rounds.get(index)?.reports;
    if (
      reports !== undefined &&
      members.every((member) => isEqual(reports.get(member), reports.get(memberId)))
    )
      return;
    this.report(index, values);
  }

  /** Says what this member has at an index, and looks at what that means. */
  private report(index: number, values: ChainValues): void {
    const round = this.rounds.add(this.host.memberId, index, values);
    this.send(index, values);
    if (round !== undefined) this.consider(round);
  }

  private send(index: number, values: ChainValues): void {
    const { raft, memberId: from, send } = this.host;
    const { term } = raft.status();
    const others = this.members().filter((member) => member !== from);
    send(others.map((to) => ({ kind: 'chains', from, to, term, index, ...values })));
  }

  private consider(round: Round): void {
    const { raft, memberId, clock } = this.host;
    const { confState, role } = raft.status();
    // While two configurations are in force there are two majorities.
    if (confState.outgoing.length > 0) return;
    const { differing, isUndecided, isComplete } = judge(round, confState);
    const own = differing.get(memberId);
    if (own !== undefined) return this.doubt(own, round.index);
    if (role !== 'leader') return;
    if (!isUndecided) this.undecidedSince = undefined;
    else if (isComplete) this.raiseAlarm();
    else this.undecidedSince ??= clock.now();
  }

  private doubt(integrity: Integrity, index: number): void {
    const { raft, machine, logger, doubted } = this.host;
    logger.error(
      'what this member holds differs from what a majority holds: it serves nobody until it got a state of the leader',
      { integrity, index },
    );
    machine.judge(integrity);
    raft.stepDown();
    doubted();
  }

  private ask(): void {
    if (this.isAsking || this.host.leader() === 0n) return;
    this.isAsking = true;
    this.host.askForState(() => (this.isAsking = false));
  }

  private raiseAlarm(): void {
    const { machine, logger, proposeAsLeader } = this.host;
    this.undecidedSince = undefined;
    if (machine.cluster.isRaised(etcdserverpb.AlarmType.CORRUPT)) return;
    logger.error(
      'members hold different states and no majority says which is right: raising the CORRUPT alarm',
    );
    const alarm = etcdserverpb.AlarmRequest.fromPartial({
      action: etcdserverpb.AlarmRequest_AlarmAction.ACTIVATE,
      alarm: etcdserverpb.AlarmType.CORRUPT,
    });
    proposeAsLeader(CommandKind.Alarm, etcdserverpb.AlarmRequest.encode(alarm).finish(), () => undefined);
  }

  /** Everybody that applies the log. */
  private members(): readonly MemberId[] {
    const { voters, learners, outgoing } = this.host.raft.status().confState;
    return [...new Set([...voters, ...outgoing, ...learners])];
  }
}

function isEqual(a: ChainValues | undefined, b: ChainValues | undefined): boolean {
  return a !== undefined && b !== undefined && a.log === b.log && a.results === b.results;
}
