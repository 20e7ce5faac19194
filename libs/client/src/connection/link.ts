import { etcdserverpb, GrpcStatus } from '@conclave/protocol';
import {
  type Metadata,
  type PausableStream,
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
  private readonly streams = new Set<GuardedObserver>();
  private unaryRunning = 0;
  private retired = false;
  private gone = false;

  constructor(
    readonly endpoint: string,
    factory: TransportFactory,
    options: TransportOptions,
  ) {
    this.transport = factory(endpoint, options);
  }

  async unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    if (this.retired) throw replaced();
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

  /** The stream of a retired link ends at once, though not inside this call. */
  stream(path: string, options: StreamOptions, observer: TransportObserver): TransportStream {
    const guarded = new GuardedObserver(observer, this.streams);
    if (this.retired) {
      guarded.endLater(replaced());
      return { send: () => undefined, cancel: () => guarded.leave() };
    }
    const stream = this.transport.stream(path, options, guarded);
    return {
      send: (message) => {
        if (!guarded.isOver) stream.send(message);
      },
      cancel: () => {
        guarded.leave();
        stream.cancel();
      },
    };
  }

  /** Undefined when the transport cannot hold a server back. */
  serverStream(
    path: string,
    request: Uint8Array,
    options: StreamOptions,
    observer: TransportObserver,
  ): PausableStream | undefined {
    if (this.transport.serverStream === undefined) return undefined;
    const guarded = new GuardedObserver(observer, this.streams);
    if (this.retired) {
      guarded.endLater(replaced());
      return { pause: () => undefined, resume: () => undefined, cancel: () => guarded.leave() };
    }
    const stream = this.transport.serverStream(path, request, options, guarded);
    return {
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      cancel: () => {
        guarded.leave();
        stream.cancel();
      },
    };
  }

  /** Asks the member who it is. Answered by every member that is alive, with or without a leader. */
  async probe(timeoutMs: number, metadata: Metadata): Promise<etcdserverpb.StatusResponse> {
    const request = etcdserverpb.StatusRequest.encode(etcdserverpb.StatusRequest.create()).finish();
    const bytes = await this.transport.unary(statusPath, request, { metadata, timeoutMs });
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

function replaced(): TransportError {
  return new TransportError(GrpcStatus.Unavailable, 'the connection was replaced', false);
}

/** Lets nothing through after the end, or after its owner has left; the link may end it as well as the transport. */
class GuardedObserver implements TransportObserver {
  isOver = false;

  constructor(
    private readonly observer: TransportObserver,
    private readonly open: Set<GuardedObserver>,
  ) {
    open.add(this);
  }

  message(bytes: Uint8Array): void {
    if (!this.isOver) this.observer.message(bytes);
  }

  end(error: TransportError | undefined): void {
    if (this.isOver) return;
    this.leave();
    this.observer.end(error);
  }

  /** Not inside the call that opens the stream. */
  endLater(error: TransportError): void {
    queueMicrotask(() => this.end(error));
  }

  leave(): void {
    this.isOver = true;
    this.open.delete(this);
  }
}
