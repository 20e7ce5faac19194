import { type ProtocolError, type ProtocolErrorName } from '@conclave/protocol';
import { type RequestContext } from '../../../apps/server/src/engine/requests/method.js';
import { type CommittedLog } from '../checks/committed-log.js';
import { isTurnedAway, isUnknown, type Oracle } from '../checks/oracle.js';
import { type Fate } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { type Schedule } from '../world/schedule.js';
import { type Invocation, type Outcome, type Request } from './invocation.js';
import { Home } from './home.js';

/** What all clients of a run share. */
export interface ClientParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly members: readonly Member[];
  readonly log: CommittedLog;
  readonly oracle: Oracle;
  /** Takes one operation of the run's budget; false when it is used up. */
  takeOperation(): boolean;
}

export function requestContext(): RequestContext {
  return { token: undefined, requireLeader: false, onCancel: undefined };
}

interface Pending {
  readonly invocation: Invocation;
  readonly done: (outcome: Outcome) => void;
}

/** After this a client of a cluster no longer waits for an answer, and goes to another member. */
const patienceMs = 4_000;

/** Answers by which a client turns to another member. */
export const sendsAway: ReadonlySet<ProtocolErrorName | undefined> = new Set([
  'NoLeader',
  'Timeout',
  'LeaderChanged',
  'Stopped',
  'TimeoutWaitAppliedIndex',
  'NotSupportedForLearner',
]);

/** One client's calls, one at a time, over a network that delays answers and loses them when the member dies. */
export class Connection {
  readonly home: Home;
  private pending: Pending | undefined;
  private replies = 0;
  /** Reads of local state never go back while the connection lasts (K9): the last place seen. */
  private localFloor = 0;

  constructor(
    private readonly parts: ClientParts,
    readonly client: number,
  ) {
    this.home = new Home(parts, client, () => (this.localFloor = 0));
  }

  get isWaiting(): boolean {
    return this.pending !== undefined;
  }

  /** Calls a method. `done` comes once; at once as unknown when nobody is there. */
  call(request: Request, done: (outcome: Outcome) => void): void {
    const { oracle, schedule, log } = this.parts;
    const member = this.home.find();
    const engine = member?.engine;
    if (member === undefined || engine === undefined)
      return done({ kind: 'unknown', reason: 'nobody listens' });
    const invocation = oracle.invoke(request, schedule.now, this.localFloor);
    const pending = { invocation, done };
    this.pending = pending;
    schedule.note(`client ${this.client} calls ${request.label}${this.home.label}`);
    const method = engine.methods.get(request.path);
    if (method?.kind !== 'unary') throw new Error(`${request.path} is no unary method`);
    const { command } = request;
    const { boot } = member;
    if (command !== undefined) log.propose(boot, command.kind, command.payload, invocation);
    member.enter(() => {
      let isInCall = true;
      method.call(request.bytes, requestContext(), (error, response) => {
        invocation.repliedAt = request.isOfLeader ? log.last : member.log.applied;
        const isRefused = error !== undefined && (isInCall || isTurnedAway(error));
        if (command !== undefined && isRefused) log.withdraw(boot, command.kind, command.payload, invocation);
        else if (command !== undefined && !isUnknown(error)) {
          log.answered(boot, command.kind, command.payload, invocation, error === undefined);
        }
        this.deliver(pending, error, response);
      });
      isInCall = false;
    });
    if (this.parts.members.length > 1) this.losePatience(pending);
  }

  /** A member died: an answer that is on its way is lost. */
  broken(member: Member): void {
    if (!this.home.leave(member)) return;
    this.localFloor = 0;
    this.giveUp('the connection broke');
  }

  private losePatience(pending: Pending): void {
    this.parts.schedule.after(patienceMs, `client ${this.client} looks at its clock`, () => {
      if (this.pending === pending) this.moveOn('no answer came');
    });
  }

  private moveOn(reason: string): void {
    this.home.leave(undefined);
    this.localFloor = 0;
    this.giveUp(reason);
  }

  private giveUp(reason: string): void {
    const { pending } = this;
    if (pending === undefined) return;
    this.pending = undefined;
    pending.done({ kind: 'unknown', reason });
  }

  private deliver(
    pending: Pending,
    error: ProtocolError | undefined,
    response: Uint8Array | undefined,
  ): void {
    const { fate, schedule } = this.parts;
    const outcome: Outcome =
      error !== undefined ? { kind: 'refused', error } : { kind: 'ok', response: response!.slice() };
    const delay = fate.below(2_000, 'network', this.client, ++this.replies) / 1000;
    const end = outcome.kind === 'ok' ? 'ok' : outcome.error.message;
    schedule.after(delay, `client ${this.client} hears of ${pending.invocation.request.label}: ${end}`, () =>
      this.hear(pending, outcome),
    );
  }

  private hear(pending: Pending, outcome: Outcome): void {
    if (this.pending !== pending) return;
    this.pending = undefined;
    const place = this.parts.oracle.complete(pending.invocation, outcome);
    if (pending.invocation.request.isLocal) this.localFloor = Math.max(this.localFloor, place);
    if (outcome.kind === 'refused' && sendsAway.has(outcome.error.reason)) this.home.leave(undefined);
    pending.done(outcome);
  }
}
