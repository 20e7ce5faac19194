import {
  TransportError,
  type StreamOptions,
  type Transport,
  type TransportObserver,
  type TransportOptions,
  type TransportStream,
  type UnaryOptions,
} from '@conclave/client';
import { GrpcStatus } from '@conclave/protocol';
import { requestContext } from '../clients/connection.js';
import { type Invocation, type Outcome, type Request } from '../clients/invocation.js';
import { isTurnedAway, isUnknown } from '../checks/oracle.js';
import { type Member } from '../world/member.js';
import { MemberStream } from './member-stream.js';
import { sdkRequest } from './sdk-requests.js';
import { refused, statusOf } from './transport-errors.js';
import { type ProcessParts } from './worker-process.js';

const grantPath = '/etcdserverpb.Lease/LeaseGrant';

/** A call that its caller still waits for. */
interface Waiting {
  fail(error: TransportError): void;
}

/**
 * One connection of the production client to one simulated member. Every answer is judged as those of all other clients are; calls run
 * beside each other and may overtake each other.
 *
 * Invariant: `waiting` and `streams` are what the client has not heard the end of.
 */
export class MemberTransport implements Transport {
  private readonly waiting = new Set<Waiting>();
  private readonly streams = new Set<MemberStream>();
  private isClosed = false;
  /** The life of the member that it is connected to. */
  private readonly generation: number;

  constructor(
    private readonly parts: ProcessParts,
    readonly member: Member | undefined,
    private readonly options: TransportOptions,
  ) {
    this.generation = member?.generation ?? 0;
  }

  private get isConnected(): boolean {
    return !this.isClosed && this.isThere;
  }

  /** The member serves, and is the process that this was connected to. */
  private get isThere(): boolean {
    const { member } = this;
    return member?.engine !== undefined && member.generation === this.generation;
  }

  unary(path: string, bytes: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    if (!this.isConnected) return Promise.reject(refused());
    return new Promise((resolve, reject) => {
      const { schedule, oracle, clock, leases } = this.parts;
      const request = sdkRequest(path, bytes, (ttl) => leases.name(ttl));
      const invocation = oracle.invoke(request, schedule.now, 0);
      const finish = (): boolean => {
        timer.cancel();
        options.signal?.removeEventListener('abort', onAbort);
        return this.waiting.delete(waiting);
      };
      const waiting: Waiting = {
        fail: (error) => {
          if (finish()) reject(error);
        },
      };
      const onAbort = (): void => waiting.fail(new TransportError(GrpcStatus.Canceled, 'cancelled', true));
      const late = (): void => waiting.fail(new TransportError(GrpcStatus.DeadlineExceeded, 'late', true));
      const timer = clock.setTimer(options.timeoutMs, late);
      options.signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.add(waiting);
      this.send(request, invocation, (outcome) => {
        if (!this.waiting.has(waiting)) return;
        oracle.complete(invocation, outcome);
        if (outcome.kind === 'refused') return waiting.fail(statusOf(outcome.error));
        if (outcome.kind !== 'ok' || !finish()) return;
        if (path === grantPath) leases.granted(outcome.response, invocation.calledAt);
        resolve(outcome.response);
      });
    });
  }

  stream(path: string, { metadata }: StreamOptions, observer: TransportObserver): TransportStream {
    const { member, parts } = this;
    const stream = new MemberStream(parts, member, metadata.hasleader === 'true', {
      message: (bytes) => observer.message(bytes),
      end: (error) => {
        this.streams.delete(stream);
        observer.end(error);
      },
    });
    this.streams.add(stream);
    if (this.isConnected) stream.open(path);
    else stream.refuse();
    return stream;
  }

  /** The client dies, and its connections with it. */
  abandon(): void {
    this.isClosed = true;
    for (const stream of this.streams) stream.cancel();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.parts.transports.delete(this);
    this.failAll(new TransportError(GrpcStatus.Unavailable, 'the connection was closed', true));
  }

  /** The member died: the client hears of it at once, or when it goes on. */
  lost(): void {
    this.parts.gate.pass(() => {
      if (this.isClosed) return;
      this.isClosed = true;
      this.parts.transports.delete(this);
      const error = new TransportError(GrpcStatus.Unavailable, 'the connection broke', true);
      this.failAll(error);
      this.options.onLost(error);
    });
  }

  private failAll(error: TransportError): void {
    for (const waiting of [...this.waiting]) waiting.fail(error);
    for (const stream of [...this.streams]) stream.fail(error);
  }

  private send(request: Request, invocation: Invocation, hear: (outcome: Outcome) => void): void {
    const { path, number, gate } = this.parts;
    path.at(path.arrival(), `worker ${number} calls ${request.label} at m${this.member!.number}`, () => {
      // What was sent arrives, even when its caller is gone by then.
      if (this.isThere) this.member!.enter(() => this.arrived(request, invocation, reply));
    });
    const reply = (outcome: Outcome): void => {
      const end = outcome.kind === 'refused' ? outcome.error.message : outcome.kind;
      const label = `worker ${number} hears of ${request.label}: ${end}`;
      path.at(path.arrival(), label, () => hear(outcome), gate);
    };
  }

  /** The member takes the call. */
  private arrived(request: Request, invocation: Invocation, reply: (outcome: Outcome) => void): void {
    const member = this.member!;
    const { log } = this.parts;
    const method = member.engine?.methods.get(request.path);
    if (method?.kind !== 'unary') return;
    const { command } = request;
    const { boot } = member;
    if (command !== undefined) log.propose(boot, command.kind, command.payload, invocation);
    let isInCall = true;
    method.call(request.bytes, requestContext(), (error, response) => {
      invocation.repliedAt = request.isOfLeader ? log.last : member.log.applied;
      const isRefused = error !== undefined && (isInCall || isTurnedAway(error));
      if (command !== undefined && isRefused) log.withdraw(boot, command.kind, command.payload, invocation);
      else if (command !== undefined && !isUnknown(error)) {
        log.answered(boot, command.kind, command.payload, invocation, error === undefined);
      }
      reply(error === undefined ? { kind: 'ok', response: response!.slice() } : { kind: 'refused', error });
    });
    isInCall = false;
  }
}
