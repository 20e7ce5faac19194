import { type ProtocolError, type ProtocolErrorName } from '@conclave/protocol';
import { type Invocation, type Outcome, type Request } from '../clients/invocation.js';
import { type Answer } from '../model/model.js';
import { Violation } from '../world/violation.js';
import { type CommittedLog } from './committed-log.js';

/** Errors that say nothing about whether the request has had, or will have, its effect. */
const unknownErrors: ReadonlySet<ProtocolErrorName | undefined> = new Set([
  'Timeout',
  'TimeoutWaitAppliedIndex',
  'Stopped',
  'LeaderChanged',
]);
/** Errors by which a request is turned away at the door; they say nothing about the store. */
const refusedAtDoor: ReadonlySet<ProtocolErrorName | undefined> = new Set([
  'NoLeader',
  'RequestTooManyRequests',
  'NotSupportedForLearner',
]);

/** Whether an error leaves it open what became of the request. */
export function isUnknown(error: ProtocolError | undefined): boolean {
  return error !== undefined && unknownErrors.has(error.reason);
}

/** Whether an error says that the request was turned away before it was proposed: it will never have an effect. */
export function isTurnedAway({ reason }: ProtocolError): boolean {
  return refusedAtDoor.has(reason);
}

/**
 * Judges every answer by the committed log (strict serializability, K1): a command by its own entry, a read by some state of the
 * log between the last one that anybody knew of when it was called and the last one when it was answered.
 */
export class Oracle {
  /** What has taken effect for somebody: nothing later may be before it. */
  floor = 0;
  answers = 0;

  /** @param isAlone There is one member: what is behind others is behind itself. */
  constructor(
    private readonly log: CommittedLog,
    private readonly isAlone: boolean,
  ) {}

  invoke(request: Request, calledAt: number, localFloor: number): Invocation {
    return { request, calledAt, floor: this.floor, localFloor, index: undefined, repliedAt: 0 };
  }

  /**
   * The client has its answer.
   *
   * @returns its place in the log, 0 when it has none.
   */
  complete(invocation: Invocation, outcome: Outcome): number {
    if (outcome.kind === 'unknown') return 0;
    if (outcome.kind === 'refused' && unknownErrors.has(outcome.error.reason)) return 0;
    if (outcome.kind === 'refused' && refusedAtDoor.has(outcome.error.reason)) return 0;
    this.answers++;
    const answer = this.answerOf(invocation.request, outcome);
    const isRead = invocation.request.command === undefined;
    const place = isRead ? this.checkRead(invocation, answer) : this.checkCommand(invocation, answer);
    this.floor = Math.max(this.floor, place);
    return place;
  }

  private answerOf(request: Request, outcome: Exclude<Outcome, { kind: 'unknown' }>): Answer {
    if (outcome.kind === 'ok') return { error: undefined, ...request.read(outcome.response) };
    const { reason, message } = outcome.error;
    return { error: reason ?? message, revision: 0, text: '' };
  }

  private checkCommand(invocation: Invocation, answer: Answer): number {
    const { request, index, floor } = invocation;
    if (index === undefined) {
      if (answer.error === 'NoSpace' && this.wasOutOfSpace(this.isAlone ? floor : 0, invocation.repliedAt))
        return 0;
      throw new Violation('K1', `${request.label} was answered "${textOf(answer)}" but is not in the log`);
    }
    if (index <= floor) {
      throw new Violation(
        'K1',
        `${request.label} took effect at entry ${index}, but entry ${floor} was known before`,
      );
    }
    const expected = this.log.entries[index].answer;
    if (!isSame(answer, expected)) throw wrong(request, answer, [expected]);
    return index;
  }

  private checkRead(invocation: Invocation, answer: Answer): number {
    const { request, localFloor, repliedAt } = invocation;
    const floor = request.isLocal && !this.isAlone ? localFloor : invocation.floor;
    const { log } = this;
    if (request.expected === undefined) return 0;
    const seen: Answer[] = [];
    for (let index = floor; index <= repliedAt; index++) {
      const { answer: after, compacted } = log.entries[index];
      const expected = request.expected(log.model, { current: after.revision, compacted }, index);
      if (isSame(answer, expected)) return index;
      // The text is the leader's; the revision that of the member that was asked, at a time of its own after the question.
      const hasText = request.isOfLeader && !this.isAlone && answer.error === undefined;
      const isOfTheTime =
        answer.revision >= log.entries[floor].answer.revision && answer.revision <= log.model.revision;
      if (hasText && answer.text === expected.text && isOfTheTime) return index;
      seen.push(expected);
    }
    throw wrong(request, answer, seen);
  }

  private wasOutOfSpace(first: number, last: number): boolean {
    return this.log.entries.slice(first, last + 1).some(({ isOutOfSpace }) => isOutOfSpace);
  }
}

function isSame(answer: Answer, expected: Answer): boolean {
  if (answer.error !== expected.error) return false;
  return (
    answer.error !== undefined || (answer.revision === expected.revision && answer.text === expected.text)
  );
}

function textOf(answer: Answer): string {
  return answer.error ?? `${answer.text} at revision ${answer.revision}`;
}

function wrong(request: Request, answer: Answer, expected: readonly Answer[]): Violation {
  const allowed = [...new Set(expected.map(textOf))].slice(-4).join('" or "');
  return new Violation('K1', `${request.label} was answered "${textOf(answer)}"; right is "${allowed}"`);
}
