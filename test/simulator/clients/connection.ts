import { type ProtocolError } from '@conclave/protocol';
import { type RequestContext } from '../../../apps/server/src/engine/requests/method.js';
import { type CommittedLog } from '../checks/committed-log.js';
import { type Oracle } from '../checks/oracle.js';
import { type Fate } from '../world/fate.js';
import { type Member } from '../world/member.js';
import { type Schedule } from '../world/schedule.js';
import { type Invocation, type Outcome, type Request } from './invocation.js';

/** What all clients of a run share. */
export interface ClientParts {
  readonly fate: Fate;
  readonly schedule: Schedule;
  readonly member: Member;
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

/** One client's calls, one at a time, over a network that delays answers and loses them when the member dies. */
export class Connection {
  private pending: Pending | undefined;
  private replies = 0;

  constructor(
    private readonly parts: ClientParts,
    readonly client: number,
  ) {}

  /** Calls a method. `done` comes once; at once as unknown when nobody is there. */
  call(request: Request, done: (outcome: Outcome) => void): void {
    const { member, oracle, schedule, log } = this.parts;
    const { engine, boot } = member;
    if (engine === undefined) return done({ kind: 'unknown', reason: 'nobody listens' });
    const invocation = oracle.invoke(request, schedule.now);
    const pending = { invocation, done };
    this.pending = pending;
    schedule.note(`client ${this.client} calls ${request.label}`);
    const method = engine.methods.get(request.path);
    if (method?.kind !== 'unary') throw new Error(`${request.path} is no unary method`);
    const { command } = request;
    if (command !== undefined) log.propose(boot, command.kind, command.payload, invocation);
    let isInCall = true;
    method.call(request.bytes, requestContext(), (error, response) => {
      if (isInCall && error !== undefined && command !== undefined && invocation.index === undefined) {
        log.withdraw(boot, command.kind, command.payload, invocation);
      }
      invocation.repliedAt = log.last;
      this.deliver(pending, error, response);
    });
    isInCall = false;
  }

  /** The member died: an answer that is on its way is lost. */
  broken(): void {
    const { pending } = this;
    if (pending === undefined) return;
    this.pending = undefined;
    pending.done({ kind: 'unknown', reason: 'the connection broke' });
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
    schedule.after(
      delay,
      `client ${this.client} hears of ${pending.invocation.request.label}: ${end}`,
      () => {
        if (this.pending !== pending) return;
        this.pending = undefined;
        this.parts.oracle.complete(pending.invocation, outcome);
        pending.done(outcome);
      },
    );
  }
}
