import { type etcdserverpb, GrpcStatus } from '@conclave/protocol';
import { type Authorization, type Tokens } from '../auth/tokens.js';
import { abortable } from '../cancellation.js';
import { asConclaveError, classify, toConclaveError } from '../error-mapping.js';
import { type ConclaveError, StoreReplacedError, UnavailableError } from '../errors.js';
import { type RequestStream, type StreamObserver } from '../kv-store.js';
import { type Metadata, TransportError, type TransportStream } from '../transport.js';
import { type Codec } from './caller.js';
import { type Connection } from './connection.js';
import { type Link } from './link.js';

interface Headed {
  readonly header: etcdserverpb.ResponseHeader | undefined;
}

/**
 * A stream on whichever link is there, or will be. Messages sent before there is one wait here. It never moves to
 * another link: when its link fails it ends, and its owner opens the next one.
 */
export class RemoteStream<Q, S extends Headed> implements RequestStream<Q> {
  private readonly waiting: Uint8Array[] = [];
  private readonly stop = new AbortController();
  private link: Link | undefined;
  private stream: TransportStream | undefined;
  private used: Authorization | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly tokens: Tokens,
    private readonly codec: Codec<Q, S>,
    /** Beside the token's. */
    private readonly metadata: Metadata,
    private readonly observer: StreamObserver<S>,
  ) {
    void this.begin();
  }

  /** With what it was opened; undefined before. */
  get authorization(): Authorization | undefined {
    return this.used;
  }

  send(message: Q): void {
    if (this.stop.signal.aborted) return;
    const bytes = this.codec.encode(message);
    if (this.stream === undefined) this.waiting.push(bytes);
    else this.stream.send(bytes);
  }

  cancel(why: 'done' | 'stalled' = 'done'): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.stream?.cancel();
    if (why === 'stalled' && this.link !== undefined) this.connection.check(this.link);
  }

  private async begin(): Promise<void> {
    const { signal } = this.stop;
    try {
      const link = await this.connection.acquire(signal);
      this.open(link, this.tokens.now() ?? (await abortable(this.tokens.on(link), signal)));
    } catch (error) {
      this.finish(asConclaveError(error));
    }
  }

  private open(link: Link, authorization: Authorization): void {
    if (this.stop.signal.aborted) return;
    this.link = link;
    this.used = authorization;
    const stream = link.stream(
      this.codec.path,
      { metadata: { ...authorization.metadata, ...this.metadata } },
      {
        message: (bytes) => this.onMessage(bytes, link),
        end: (error) => this.onEnd(error, link),
      },
    );
    // The transport may have failed at once; then `finish` has run already.
    if (this.stop.signal.aborted) return stream.cancel();
    this.stream = stream;
    for (const bytes of this.waiting.splice(0)) stream.send(bytes);
  }

  private onMessage(bytes: Uint8Array, link: Link): void {
    if (this.stop.signal.aborted) return;
    let message: S;
    try {
      message = this.codec.decode(bytes);
    } catch (error) {
      const broken = new TransportError(
        GrpcStatus.Internal,
        `${this.codec.path}: undecodable message`,
        true,
        {
          cause: error,
        },
      );
      this.stream?.cancel();
      return this.finish(toConclaveError(broken, link.endpoint));
    }
    const { identity } = this.connection;
    // The revision of a stream's header is the member's own and may lag behind what other calls have seen.
    const verdict = identity.admit(message.header, { ...identity.mark(), revision: 0n });
    if (verdict !== 'foreign') return this.observer.next(message);
    const error = new StoreReplacedError(`${link.endpoint} answered for another cluster`, {
      endpoint: link.endpoint,
    });
    this.stream?.cancel();
    this.connection.drop(link, error);
    this.finish(error);
  }

  private onEnd(error: TransportError | undefined, link: Link): void {
    if (error === undefined) {
      return this.finish(new UnavailableError(`${this.codec.path} was ended by ${link.endpoint}`));
    }
    if (this.used !== undefined && this.tokens.judge(this.used, error) === 'renewable') {
      return this.finish(
        new UnavailableError(`${this.codec.path}: ${error.message}; it opens again with a new token`, {
          cause: error,
          endpoint: link.endpoint,
        }),
      );
    }
    this.connection.report(link, classify(error));
    this.finish(toConclaveError(error, link.endpoint));
  }

  private finish(error: ConclaveError): void {
    if (this.stop.signal.aborted) return;
    this.stop.abort();
    this.observer.error(error);
  }
}
