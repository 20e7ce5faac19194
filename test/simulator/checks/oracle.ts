import { type ProtocolErrorName } from '@conclave/protocol';
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
]);

/**
 * Judges every answer by the committed log (strict serializability, K1): a command by its own entry, a read by some state of the
 * log between the last one that anybody knew of when it was called and the last one when it was answered.
 */
export class Oracle {
  /** What has taken effect for somebody: nothing later may be before it. */
  floor = 0;
  answers = 0;

  constructor(private readonly log: CommittedLog) {}

  invoke(request: Request, calledAt: number): Invocation {
    return { request, calledAt, floor: this.floor, index: undefined, repliedAt: 0 };
  }

  /** The client has its answer. */
  complete(invocation: Invocation, outcome: Outcome): void {
    if (outcome.kind === 'unknown') return;
    if (outcome.kind === 'refused' && unknownErrors.has(outcome.error.reason)) return;
    if (outcome.kind === 'refused' && refusedAtDoor.has(outcome.error.reason)) return;
    this.answers++;
    const answer = this.answerOf(invocation.request, outcome);
    if (invocation.request.command === undefined) this.checkRead(invocation, answer);
    else this.checkCommand(invocation, answer);
  }

  private answerOf(request: Request, outcome: Exclude<Outcome, { kind: 'unknown' }>): Answer {
    if (outcome.kind === 'ok') return { error: undefined, ...request.read(outcome.response) };
    const { reason, message } = outcome.error;
    return { error: reason ?? message, revision: 0, text: '' };
  }

  private checkCommand(invocation: Invocation, answer: Answer): void {
    const { request, index, floor } = invocation;
    if (index === undefined) {
      if (answer.error === 'NoSpace' && this.wasOutOfSpace(floor, invocation.repliedAt)) return;
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
    this.floor = Math.max(this.floor, index);
  }

  private checkRead(invocation: Invocation, answer: Answer): void {
    const { request, floor, repliedAt } = invocation;
    const { log } = this;
    if (request.expected === undefined) return;
    const seen: Answer[] = [];
    for (let index = floor; index <= repliedAt; index++) {
      const { answer: after, compacted } = log.entries[index];
      const expected = request.expected(log.model, { current: after.revision, compacted }, index);
      if (isSame(answer, expected)) {
        this.floor = Math.max(this.floor, index);
        return;
      }
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
