import { etcdserverpb, GrpcStatus, ProtocolError, WireWriter } from '@conclave/protocol';
import { asProtocolError, decodeRequest } from './decode.js';
import { leaderKeepAlive } from './leader-answers.js';
import type { RequestStream, ResponseStream, StreamMethod } from './method.js';
import type { RequestParts } from './request-parts.js';

/** A stream holds at most this many renewals that wait; further ones end it, since the caller does not read answers. */
const waitingMax = 10_000;

/**
 * LeaseKeepAlive: each message renews one lease and is answered in turn with the TTL that holds from now, or with 0
 * when there is no such lease. The leader renews, whichever member was asked.
 */
export function keepAliveMethod(parts: RequestParts): StreamMethod {
  return { kind: 'stream', open: (_context, responses) => new KeepAliveStream(parts, responses) };
}

class KeepAliveStream implements RequestStream {
  private waiting = 0;
  private halfClosed = false;
  private ended = false;

  constructor(
    private readonly parts: RequestParts,
    private readonly responses: ResponseStream,
  ) {}

  message(bytes: Uint8Array): void {
    if (this.ended) return;
    let id: bigint;
    try {
      id = decodeRequest(etcdserverpb.LeaseKeepAliveRequest, bytes).ID;
    } catch (error) {
      return this.end(asProtocolError(error));
    }
    if (++this.waiting > waitingMax) return this.end(undefined);
    // The revision of the answer is one before the renewal.
    const revision = this.parts.store.currentRevision;
    leaderKeepAlive(this.parts, id, (error, ttlSeconds) => {
      if (error === undefined) return this.answer(id, revision, ttlSeconds);
      // What etcd says when leadership could not be confirmed.
      const isLost = error.reason === 'NotLeader';
      this.end(isLost ? ProtocolError.unnamed(GrpcStatus.Unknown, 'not a primary lessor') : error);
    });
  }

  halfClose(): void {
    this.halfClosed = true;
    this.endWhenAnswered();
  }

  cancel(): void {
    this.ended = true;
  }

  private answer(id: bigint, revision: number, ttlSeconds: number): void {
    if (this.ended) return;
    this.waiting--;
    const body = new WireWriter(32).bigint(2, id).uint(3, ttlSeconds).take();
    this.responses.send(this.parts.header.response(revision, body));
    this.endWhenAnswered();
  }

  private endWhenAnswered(): void {
    if (this.halfClosed && this.waiting === 0) this.end(undefined);
  }

  private end(error: ProtocolError | undefined): void {
    if (this.ended) return;
    this.ended = true;
    this.responses.end(error);
  }
}
