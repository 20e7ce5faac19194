import { etcdserverpb, GrpcStatus } from '@conclave/protocol';
import {
  type StreamOptions,
  type Transport,
  TransportError,
  type TransportFactory,
  type TransportObserver,
  type TransportOptions,
  type TransportStream,
  type UnaryOptions,
} from '../transport.js';

const statusPath = '/etcdserverpb.Maintenance/Status';

/**
 * One connection to one member, while it is the client's way to the cluster. A retired link takes no new calls; its
 * unary calls may finish, its streams end with Unavailable at once so that they move to the next link.
 *
 * Invariant: the transport is closed exactly when the link is `gone`, or retired with no unary call left.
 */
export class Link {
  private readonly transport: Transport;
  private readonly streams = new Set<TransportObserver>();
  private unaryRunning = 0;
  private retired = false;
  private gone = false;

  constructor(
    readonly endpoint: string,
    factory: TransportFactory,
    options: TransportOptions,
    private readonly probeMetadata: Readonly<Record<string, string>>,
  ) {
    this.transport = factory(endpoint, options);
  }

  async unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    if (this.retired) throw new TransportError(GrpcStatus.Unavailable, 'the connection was replaced', false);
    this.unaryRunning += 1;
    try {
      return await this.transport.unary(path, request, options);
    } catch (error) {
      if (!this.gone || options.signal?.aborted === true) throw error;
      // A transport may call it cancelled; the caller of this call has cancelled nothing.
      throw new TransportError(GrpcStatus.Unavailable, 'the connection was closed', true, { cause: error });
    } finally {
      this.unaryRunning -= 1;
      if (this.retired && this.unaryRunning === 0) this.close();
    }
  }

  stream(path: string, options: StreamOptions, observer: TransportObserver): TransportStream {
    let over = false;
    const guarded: TransportObserver = {
      message: (bytes) => {
        if (!over) observer.message(bytes);
      },
      end: (error) => {
        if (over) return;
        over = true;
        this.streams.delete(guarded);
        observer.end(error);
      },
    };
    this.streams.add(guarded);
    const stream = this.transport.stream(path, options, guarded);
    return {
      send: (message) => {
        if (!over) stream.send(message);
      },
      cancel: () => {
        over = true;
        this.streams.delete(guarded);
        stream.cancel();
      },
    };
  }

  /** Asks the member who it is. Answered by every member that is alive, with or without a leader. */
  async probe(timeoutMs: number): Promise<etcdserverpb.StatusResponse> {
    const request = etcdserverpb.StatusRequest.encode(etcdserverpb.StatusRequest.create()).finish();
    const bytes = await this.transport.unary(statusPath, request, {
      metadata: this.probeMetadata,
      timeoutMs,
    });
    return etcdserverpb.StatusResponse.decode(bytes);
  }

  /** Takes no new calls; closes when the running ones are done. */
  retire(): void {
    this.retired = true;
    this.endStreams('the connection was replaced');
    if (this.unaryRunning === 0) this.close();
  }

  close(): void {
    if (this.gone) return;
    this.gone = true;
    this.retired = true;
    this.endStreams('the connection was closed');
    this.transport.close();
  }

  private endStreams(message: string): void {
    for (const observer of [...this.streams])
      observer.end(new TransportError(GrpcStatus.Unavailable, message, true));
  }
}
