import { type TransportError, type TransportObserver, type TransportStream } from '@conclave/client';
import { etcdserverpb } from '@conclave/protocol';
import { type RequestStream, type ResponseStream } from '../../../apps/server/src/engine/requests/method.js';
import { requestContext } from '../clients/connection.js';
import { type Member } from '../world/member.js';
import { type Renewal } from './sdk-leases.js';
import { refused, statusOf } from './transport-errors.js';
import { type ProcessParts } from './worker-process.js';

/** Between two messages of one direction, so that they have an order. */
const gapMs = 0.001;

const keepAlivePath = '/etcdserverpb.Lease/LeaseKeepAlive';

/**
 * A stream of the production client on one simulated member. Messages of one direction stay in order.
 *
 * Invariant: after `isOver` the client hears nothing more.
 */
export class MemberStream implements TransportStream {
  private requests: RequestStream | undefined;
  /** The life of the member that it is on. */
  private readonly generation: number | undefined;
  private isKeepAlive = false;
  private isOver = false;
  private sentUntil = 0;
  private heardUntil = 0;
  /** Renewals without an answer, oldest first. */
  private readonly renewals: Renewal[] = [];

  constructor(
    private readonly parts: ProcessParts,
    private readonly member: Member | undefined,
    private readonly requireLeader: boolean,
    private readonly observer: TransportObserver,
  ) {
    this.generation = member?.generation;
  }

  /** The client is told later, as the contract of a transport wants it. */
  refuse(): void {
    this.hear('is refused', () => this.fail(refused()));
  }

  open(path: string): void {
    this.isKeepAlive = path === keepAlivePath;
    const method = this.member?.engine?.methods.get(path);
    if (method?.kind !== 'stream') throw new Error(`${path} is no stream`);
    const responses: ResponseStream = {
      onDrain: undefined,
      send: (message) => {
        const bytes = message.slice();
        this.hear('hears', () => this.received(bytes));
        return true;
      },
      end: (error) =>
        this.hear('hears the end', () => this.fail(error === undefined ? undefined : statusOf(error))),
    };
    this.enter(`opens ${path}`, () => {
      const context = { ...requestContext(), requireLeader: this.requireLeader };
      this.requests = method.open(context, responses);
    });
  }

  send(message: Uint8Array): void {
    const { schedule, oracle, leases } = this.parts;
    if (!this.isKeepAlive) return this.enter('sends', () => this.requests?.message(message));
    const { ID: id } = etcdserverpb.LeaseKeepAliveRequest.decode(message);
    this.renewals.push({ id, sentAt: schedule.now, floor: oracle.floor });
    this.enter(`renews ${id}`, () => {
      leases.arrives(id);
      this.requests?.message(message);
    });
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.enter('cancels', () => this.requests?.cancel());
  }

  /** Ends it for the client. */
  fail(error: TransportError | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    this.observer.end(error);
  }

  private received(bytes: Uint8Array): void {
    if (this.isOver) return;
    if (this.isKeepAlive) {
      const { TTL } = etcdserverpb.LeaseKeepAliveResponse.decode(bytes);
      const renewal = this.renewals.shift();
      if (renewal !== undefined) this.parts.leases.renewed(renewal, TTL);
    }
    this.observer.message(bytes);
  }

  /** Something goes to the member, and gets there if the member has not died until then. */
  private enter(what: string, run: () => void): void {
    const { path, number } = this.parts;
    const { member, generation } = this;
    this.sentUntil = path.arrival(this.sentUntil + gapMs);
    path.at(this.sentUntil, `worker ${number} ${what} at m${member?.number ?? 0}`, () => {
      if (member?.generation === generation) member?.enter(run);
    });
  }

  private hear(what: string, run: () => void): void {
    const { path, number, gate } = this.parts;
    this.heardUntil = path.arrival(this.heardUntil + gapMs);
    path.at(this.heardUntil, `worker ${number} ${what} from m${this.member?.number ?? 0}`, run, gate);
  }
}
