import { ProtocolError, type ProtocolErrorName, protocolErrors } from '@conclave/protocol';
import type { MemberId } from '../raft/message.js';
import type { KnownLeader } from './forwarding.js';
import type { Query, QueryMethod, QueryReply } from './peer-message.js';

/** Called exactly once: with an error, or with the fields of the answer after its header. */
export type QueryDone = (error: ProtocolError | undefined, body: Uint8Array | undefined) => void;

/** A question that may be repeated is asked again after this time. */
const repeatAfterMs = 500;

/** A leader that hands over answers what it was asked, soon after others know of its successor. */
const formerLeaderMs = 500;

const never = Number.POSITIVE_INFINITY;

interface Asked {
  readonly method: QueryMethod;
  readonly payload: Uint8Array;
  readonly deadline: number;
  /** Without a leader the question fails at this time. */
  readonly leaderlessUntil: number;
  readonly done: QueryDone;
  /** The term whose leader it was sent to; 0 while it waits for one. */
  readonly term: number;
  readonly sentAt: number;
  /** The asked member leads no more: its answer is waited for until then. */
  readonly formerUntil: number;
}

/**
 * What this member asks the leader. Questions about leases are repeated until they are answered; a change of the
 * membership is sent once to each leader, and again only when the former said that it did not begin. A former
 * leader that stays silent may have begun: "leader changed".
 *
 * Invariant: a request number is used for one message, so that a late answer settles only its own question.
 */
export class Queries {
  private readonly asked = new Map<number, Asked>();
  private sequence = 0;

  constructor(
    private readonly member: MemberId,
    private readonly boot: bigint,
    private readonly limits: { readonly timeoutMs: number; readonly leaderlessMs: number },
    private readonly send: (query: Query) => void,
  ) {}

  get count(): number {
    return this.asked.size;
  }

  ask(method: QueryMethod, payload: Uint8Array, known: KnownLeader, nowMs: number, done: QueryDone): void {
    const { timeoutMs, leaderlessMs } = this.limits;
    const question = {
      method,
      payload,
      deadline: nowMs + timeoutMs,
      leaderlessUntil: nowMs + leaderlessMs,
      done,
    };
    this.put({ ...question, term: 0, sentAt: nowMs, formerUntil: never }, known, nowMs);
  }

  answered({ request, boot, error, payload }: QueryReply, known: KnownLeader, nowMs: number): void {
    const question = this.asked.get(request);
    if (question === undefined || boot !== this.boot) return;
    this.asked.delete(request);
    if (error === undefined) return question.done(undefined, payload);
    // The asked member does not lead, and did nothing: whoever leads now is asked, when that is known.
    if (error === 'NotLeader' && known.term > question.term) this.put(question, known, nowMs);
    else if (error === 'NotLeader') this.wait(question, nowMs);
    else question.done(ProtocolError.of(isErrorName(error) ? error : 'Unhealthy'), undefined);
  }

  /** There is a leader, or none any more. */
  leaderChanged(known: KnownLeader, nowMs: number): void {
    for (const [request, question] of [...this.asked]) {
      if (question.term === known.term || (question.term === 0 && known.leader === 0n)) continue;
      this.asked.delete(request);
      if (question.term === 0 || isRepeatable(question.method)) this.put(question, known, nowMs);
      else this.asked.set(request, awaitingFormer(question, nowMs));
    }
  }

  tick(known: KnownLeader, nowMs: number): void {
    if (this.asked.size === 0) return;
    for (const [request, question] of [...this.asked]) {
      const isLeaderless = question.term === 0 && known.leader === 0n;
      if (question.deadline <= nowMs || (isLeaderless && question.leaderlessUntil <= nowMs)) {
        this.asked.delete(request);
        question.done(ProtocolError.of(isLeaderless ? 'NoLeader' : 'Timeout'), undefined);
      } else if (question.formerUntil <= nowMs) {
        this.asked.delete(request);
        question.done(ProtocolError.of('LeaderChanged'), undefined);
      } else if (
        question.term === 0 ||
        (isRepeatable(question.method) && nowMs - question.sentAt >= repeatAfterMs)
      ) {
        this.asked.delete(request);
        this.put(question, known, nowMs);
      }
    }
  }

  /** This member leads now: takes out all that it is to answer itself. What a former leader may have begun stays. */
  takeWaiting(nowMs: number): readonly {
    readonly method: QueryMethod;
    readonly payload: Uint8Array;
    readonly done: QueryDone;
  }[] {
    const all: Asked[] = [];
    for (const [request, question] of [...this.asked]) {
      this.asked.delete(request);
      if (question.term === 0 || isRepeatable(question.method)) all.push(question);
      else this.asked.set(request, awaitingFormer(question, nowMs));
    }
    return all;
  }

  failAll(error: ProtocolError): void {
    const all = [...this.asked.values()];
    this.asked.clear();
    for (const { done } of all) done(error, undefined);
  }

  private wait(question: Asked, nowMs: number): void {
    this.asked.set(++this.sequence, { ...question, term: 0, sentAt: nowMs, formerUntil: never });
  }

  private put(question: Asked, { leader, term }: KnownLeader, nowMs: number): void {
    if (leader === 0n || leader === this.member) return this.wait(question, nowMs);
    const request = ++this.sequence;
    this.asked.set(request, { ...question, term, sentAt: nowMs, formerUntil: never });
    const { member: from, boot } = this;
    const { method, payload } = question;
    this.send({ kind: 'query', from, to: leader, term, request, boot, method, payload });
  }
}

function awaitingFormer(question: Asked, nowMs: number): Asked {
  return { ...question, formerUntil: Math.min(question.formerUntil, nowMs + formerLeaderMs) };
}

/** Whether asking twice does no harm. */
function isRepeatable(method: QueryMethod): boolean {
  return method === 'lease-keep-alive' || method === 'lease-time-to-live';
}

function isErrorName(text: string): text is ProtocolErrorName {
  return Object.hasOwn(protocolErrors, text);
}
