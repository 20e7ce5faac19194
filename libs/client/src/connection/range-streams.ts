import { decodeRangeStreamResponse, etcdserverpb as pb, GrpcStatus } from '@conclave/protocol';
import { type Authorization, type Tokens } from '../auth/tokens.js';
import { abortable } from '../cancellation.js';
import { asConclaveError, classify, toConclaveError } from '../error-mapping.js';
import { type ConclaveError, StoreReplacedError, UnavailableError } from '../errors.js';
import { TransportError } from '../transport.js';
import { type Connection } from './connection.js';
import { type Link } from './link.js';
import { pulled } from './pulled-stream.js';

const path = '/etcdserverpb.KV/RangeStream';

/** Ranges as streams of a member, where members and transport have them; etcd has since 3.7. */
export class RangeStreams {
  private isRefused = false;

  constructor(
    private readonly connection: Connection,
    private readonly tokens: Tokens,
  ) {}

  /** False after a member has said that it does not know the method. */
  get isSupported(): boolean {
    return !this.isRefused;
  }

  /** @throws ConclaveError while it is iterated; retryable when the rest can be had in another way. */
  async *open(request: pb.RangeRequest, signal: AbortSignal | undefined): AsyncGenerator<pb.RangeResponse> {
    const link = await this.connection.acquire(signal);
    let used: Authorization | undefined;
    try {
      used = this.tokens.now() ?? (await abortable(this.tokens.on(link), signal));
      for await (const chunk of this.chunks(link, request, used, signal)) {
        const { range_response: piece } = chunk;
        if (piece === undefined) continue;
        this.check(piece.header, link);
        yield piece;
      }
    } catch (caught) {
      if (!(caught instanceof TransportError)) throw asConclaveError(caught);
      throw this.failure(caught, link, used);
    }
  }

  private chunks(
    link: Link,
    request: pb.RangeRequest,
    { metadata }: Authorization,
    signal: AbortSignal | undefined,
  ): AsyncIterable<pb.RangeStreamResponse> {
    const bytes = pb.RangeRequest.encode(request).finish();
    return pulled(
      (observer) => {
        const stream = link.serverStream(path, bytes, { metadata }, observer);
        if (stream !== undefined) return stream;
        throw new TransportError(GrpcStatus.Unimplemented, 'the transport has no streams of answers', false);
      },
      decodeRangeStreamResponse,
      signal,
    );
  }

  private check(header: pb.ResponseHeader | undefined, link: Link): void {
    const { identity } = this.connection;
    if (identity.admit(header, { ...identity.mark(), revision: 0n }) !== 'foreign') return;
    const error = new StoreReplacedError(`${link.endpoint} answered for another cluster`, {
      endpoint: link.endpoint,
    });
    this.connection.drop(link, error);
    throw error;
  }

  private failure(error: TransportError, link: Link, used: Authorization | undefined): ConclaveError {
    const { endpoint } = link;
    if (error.code === GrpcStatus.Unimplemented) {
      this.isRefused = true;
      return new UnavailableError(`${endpoint} does not know ${path}`, { cause: error, endpoint });
    }
    if (used !== undefined && this.tokens.judge(used, error) === 'renewable') {
      return new UnavailableError(`${path}: ${error.message}`, { cause: error, endpoint });
    }
    this.connection.report(link, classify(error));
    return toConclaveError(error, endpoint);
  }
}
