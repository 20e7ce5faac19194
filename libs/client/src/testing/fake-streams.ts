import { Buffer } from 'node:buffer';
import { type etcdserverpb as pb, mvccpb, type etcdserverpb } from '@conclave/protocol';
import { type ConclaveError } from '../errors.js';
import { type RequestStream, type StreamObserver } from '../kv-store.js';
import { type FakeEvent } from './fake-mvcc.js';
import { covers } from './fake-requests.js';

/** What a stream needs of the store that it belongs to. */
export interface StreamHost {
  header(): etcdserverpb.ResponseHeader;
  /** A request arrives later, in order, unless the network is cut meanwhile. */
  later(run: () => void): void;
  /** False while the network is cut in this direction. */
  readonly answersArrive: boolean;
  eventsFrom(revision: bigint): readonly FakeEvent[];
  readonly revision: bigint;
  readonly compactRevision: bigint;
  forget(stream: FakeWatchStream | FakeKeepAliveStream): void;
  renew(id: bigint): bigint;
}

/** One watch on one stream. */
export class FakeWatchStream implements RequestStream<pb.WatchRequest> {
  private request: pb.WatchCreateRequest | undefined;
  private next = 0n;
  private isOver = false;

  constructor(
    private readonly host: StreamHost,
    private readonly observer: StreamObserver<pb.WatchResponse>,
  ) {}

  /** What the watch was asked for last; undefined before. */
  get created(): pb.WatchCreateRequest | undefined {
    return this.request;
  }

  send(message: pb.WatchRequest): void {
    if (message.request_union?.$case !== 'create_request') return;
    const request = message.request_union.value;
    this.host.later(() => this.create(request));
  }

  cancel(): void {
    this.isOver = true;
    this.host.forget(this);
  }

  fail(error: ConclaveError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.host.forget(this);
    this.observer.error(error);
  }

  /** Delivers a response of the test's own making. */
  inject(response: Partial<pb.WatchResponse>): void {
    if (!this.isOver && this.host.answersArrive) this.observer.next(this.response(response));
  }

  progress(): void {
    if (this.request !== undefined && this.next <= this.host.revision + 1n) this.inject({});
  }

  /** Delivers what is there and was not delivered: one response per revision. */
  flush(): void {
    if (this.request === undefined || this.isOver) return;
    const events = this.host.eventsFrom(this.next);
    this.next = this.host.revision >= this.next ? this.host.revision + 1n : this.next;
    for (let at = 0; at < events.length && !this.isOver;) {
      const { revision } = events[at] as FakeEvent;
      const group: mvccpb.Event[] = [];
      for (; events[at]?.revision === revision; at += 1) {
        const event = this.toEvent(events[at] as FakeEvent);
        if (event !== undefined) group.push(event);
      }
      if (group.length > 0) this.inject({ events: group });
    }
  }

  private create(request: pb.WatchCreateRequest): void {
    if (this.isOver) return;
    if (isEmpty(request)) {
      this.inject({ created: true, canceled: true, cancel_reason: 'mvcc: watcher range is empty' });
      return this.cancel();
    }
    this.request = request;
    this.next = request.start_revision > 0n ? request.start_revision : this.host.revision + 1n;
    this.inject({ created: true });
    if (this.next < this.host.compactRevision) {
      this.inject({ canceled: true, compact_revision: this.host.compactRevision });
      return this.cancel();
    }
    this.flush();
  }

  private toEvent(event: FakeEvent): mvccpb.Event | undefined {
    const { request } = this;
    if (request === undefined || !covers(request.key, request.range_end, event.kv.key)) return undefined;
    const filter = event.type === mvccpb.Event_EventType.PUT ? 0 : 1;
    if (request.filters.some((unwanted) => (unwanted as number) === filter)) return undefined;
    return { type: event.type, kv: event.kv, prev_kv: request.prev_kv ? event.prev : undefined };
  }

  private response(parts: Partial<pb.WatchResponse>): pb.WatchResponse {
    return {
      header: this.host.header(),
      watch_id: 0n,
      created: false,
      canceled: false,
      compact_revision: 0n,
      cancel_reason: '',
      fragment: false,
      events: [],
      ...parts,
    };
  }
}

function isEmpty({ key, range_end: end }: pb.WatchCreateRequest): boolean {
  const isOpen = end.length === 0 || (end.length === 1 && end[0] === 0);
  return !isOpen && Buffer.compare(key, end) >= 0;
}

/** A stream of keep-alive requests. */
export class FakeKeepAliveStream implements RequestStream<pb.LeaseKeepAliveRequest> {
  private isOver = false;
  /** Answers that are on their way, while the stream is held. */
  private held: pb.LeaseKeepAliveResponse[] | undefined;

  constructor(
    private readonly host: StreamHost,
    private readonly observer: StreamObserver<pb.LeaseKeepAliveResponse>,
  ) {}

  send(message: pb.LeaseKeepAliveRequest): void {
    this.host.later(() => {
      if (this.isOver) return;
      const answer = { header: this.host.header(), ID: message.ID, TTL: this.host.renew(message.ID) };
      if (this.held !== undefined) this.held.push(answer);
      else if (this.host.answersArrive) this.observer.next(answer);
    });
  }

  /** Requests are done from now on, but their answers stay on their way. */
  hold(): void {
    this.held ??= [];
  }

  /** The answers arrive. */
  release(): void {
    const answers = this.held ?? [];
    this.held = undefined;
    for (const answer of answers) if (!this.isOver) this.observer.next(answer);
  }

  cancel(): void {
    this.isOver = true;
    this.host.forget(this);
  }

  fail(error: ConclaveError): void {
    if (this.isOver) return;
    this.isOver = true;
    this.host.forget(this);
    this.observer.error(error);
  }
}
