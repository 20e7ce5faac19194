import { etcdserverpb } from '@conclave/protocol';
import { type ResponseStream } from '../../../apps/server/src/engine/requests/method.js';
import { type LeaseCheck } from '../checks/lease-check.js';
import { type Profile } from '../world/profile.js';
import { type Member } from '../world/member.js';
import { Violation } from '../world/violation.js';
import { Connection, requestContext, sendsAway, type ClientParts } from './connection.js';
import { grantRequest, revokeRequest } from './requests.js';

/** Leases that clients asked for, newest last. */
export class LeaseBook {
  readonly ids: bigint[] = [];
  /** The newest one that may be asked for again. */
  newest: bigint | undefined;
  private readonly ttls = new Map<bigint, bigint>();

  add(id: bigint, ttl: bigint): void {
    this.newest = id;
    this.addOwned(id, ttl);
  }

  /** One whose owner alone asks for it. */
  addOwned(id: bigint, ttl: bigint): void {
    if (this.ttls.has(id)) return;
    this.ids.push(id);
    this.ttls.set(id, ttl);
  }

  ttlOf(id: bigint): bigint {
    return this.ttls.get(id) ?? 0n;
  }
}

/** Holds one lease at a time: renews it, revokes it, or forgets it, so that it runs out. */
export class LeaseClient {
  private readonly connection: Connection;
  private lease: bigint | undefined;
  private steps = 0;
  private granted = 0;
  private isDone = false;

  constructor(
    private readonly parts: ClientParts,
    private readonly profile: Profile,
    private readonly book: LeaseBook,
    private readonly check: LeaseCheck,
    private readonly number: number,
  ) {
    this.connection = new Connection(parts, number);
  }

  start(): void {
    this.pause(100);
  }

  broken(member: Member): void {
    this.connection.broken(member);
  }

  get isWaiting(): boolean {
    return this.connection.isWaiting;
  }

  /** From now on leases only run out. */
  stop(): void {
    this.isDone = true;
  }

  private pause(meanMs: number): void {
    const { fate, schedule } = this.parts;
    const pause = fate.below(2_000 * meanMs, 'lease pause', this.number, ++this.steps) / 1000;
    schedule.after(pause, `lease client ${this.number} is awake`, () => this.step());
  }

  private step(): void {
    if (this.isDone) return;
    const { fate } = this.parts;
    if (this.connection.home.find() === undefined) return this.pause(50);
    const draw = fate.draw('lease step', this.number, this.steps);
    if (this.lease === undefined) return this.grant(draw.between(1, this.profile.leaseTtlSecondsMax));
    const point = draw.next();
    if (point < 0.7) this.keepAlive(this.lease);
    else if (point < 0.8) this.revoke(this.lease);
    else this.forget();
  }

  private grant(ttlSeconds: number): void {
    const { schedule, fate } = this.parts;
    const { newest } = this.book;
    const isAgain = newest !== undefined && fate.chance(0.1, 'same lease', this.number, this.steps);
    const own = BigInt(this.number * 1_000 + ++this.granted);
    const id = isAgain ? newest : fate.chance(0.2, 'sign', this.number, this.steps) ? -own : own;
    const ttl = isAgain ? this.book.ttlOf(id) : BigInt(ttlSeconds);
    this.book.add(id, ttl);
    const sentAt = schedule.now;
    this.connection.call(grantRequest(id, ttl), (outcome) => {
      if (outcome.kind === 'ok') {
        this.check.acknowledged(id, sentAt);
        this.lease = id;
      }
      this.pause(this.interval());
    });
  }

  private revoke(id: bigint): void {
    this.lease = undefined;
    this.connection.call(revokeRequest(id), () => this.pause(this.interval()));
  }

  private forget(): void {
    this.lease = undefined;
    this.pause(this.interval());
  }

  /** Renewals come in time most of the time. */
  private interval(): number {
    return 250 * this.profile.leaseTtlSecondsMax;
  }

  private keepAlive(id: bigint): void {
    const { schedule, oracle, log, fate } = this.parts;
    const member = this.connection.home.find();
    const method = member?.engine?.methods.get('/etcdserverpb.Lease/LeaseKeepAlive');
    if (member === undefined || method?.kind !== 'stream') throw new Error('LeaseKeepAlive is a stream');
    const sentAt = schedule.now;
    const { floor } = oracle;
    const { generation } = member;
    schedule.note(`lease client ${this.number} renews ${id}${this.connection.home.label}`);
    const responses: ResponseStream = {
      onDrain: undefined,
      send: (message) => {
        const { TTL, ID } = etcdserverpb.LeaseKeepAliveResponse.decode(message);
        const delay = fate.below(2_000, 'renewal', this.number, this.steps) / 1000;
        schedule.after(delay, `lease client ${this.number} hears ${TTL} s of ${ID}`, () => {
          if (member.generation === generation) this.renewed(id, TTL, { sentAt, floor, repliedAt: log.last });
        });
        return true;
      },
      end: (error) => {
        if (error !== undefined && sendsAway.has(error.reason)) this.connection.home.leave(member);
      },
    };
    member.enter(() => {
      this.check.renewing(id);
      const stream = method.open(requestContext(), responses);
      stream.message(etcdserverpb.LeaseKeepAliveRequest.encode({ ID: id }).finish());
      stream.halfClose();
    });
    this.pause(this.interval());
  }

  private renewed(
    id: bigint,
    ttl: bigint,
    call: { readonly sentAt: number; readonly floor: number; readonly repliedAt: number },
  ): void {
    const state = ttl > 0n ? 'alive' : 'gone';
    if (ttl !== 0n && ttl !== this.book.ttlOf(id)) {
      throw new Violation('E6', `lease ${id} of ${this.book.ttlOf(id)} s was renewed for ${ttl} s`);
    }
    if (!this.parts.log.leaseWas(id, state, call.floor, call.repliedAt)) {
      throw new Violation(
        'E4',
        `a renewal says that lease ${id} is ${state}, and it never was during the call`,
      );
    }
    if (ttl > 0n) this.check.acknowledged(id, call.sentAt);
    else if (this.lease === id) this.lease = undefined;
  }
}
