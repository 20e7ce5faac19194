import { type Runtime } from '../runtime.js';
import { type Endpoint, type Pipe, type PipeHandler, type TlsPeer } from './pipe.js';

const nowhere: Endpoint = { address: 'memory', port: 0 };

export interface MemoryPipeOptions {
  /** Bytes that may be on their way in one direction before `write` says false. Default 65,536. */
  readonly highWaterBytes?: number;
  /** Names the ends in `remote` and `local`. */
  readonly clientEndpoint?: Endpoint;
  readonly serverEndpoint?: Endpoint;
}

/**
 * Two connected pipes in one process, with real back-pressure: bytes are delivered one turn later, in order, and only
 * while the reader is not paused. Used by tests, by embedded members and by the simulator.
 */
export function createMemoryPipePair(
  runtime: Runtime,
  options: MemoryPipeOptions = {},
): [client: Pipe, server: Pipe] {
  const highWaterBytes = options.highWaterBytes ?? 65_536;
  const client = options.clientEndpoint ?? nowhere;
  const server = options.serverEndpoint ?? nowhere;
  const a = new MemoryPipe(runtime, client, server, highWaterBytes);
  const b = new MemoryPipe(runtime, server, client, highWaterBytes);
  a.connectTo(b);
  b.connectTo(a);
  return [a, b];
}

class MemoryPipe implements Pipe {
  readonly tls: TlsPeer | undefined = undefined;
  /** The other end may keep what it reads. */
  readonly isDrained = false;
  #handler: PipeHandler | undefined;
  #other: MemoryPipe | undefined;
  /** Invariant: `#incomingBytes` is the sum of the lengths in `#incoming`. */
  #incoming: Uint8Array[] = [];
  #incomingBytes = 0;
  #paused = false;
  #deliveryScheduled = false;
  /** The peer promised to send no more. */
  #incomingEnded = false;
  #endDelivered = false;
  #outgoingEnded = false;
  #closing = false;
  #closeDelivered = false;
  #closeError: Error | undefined;
  #sharesReads = false;
  /** Our last `write` said false, so the peer owes us an `onDrain`. */
  #heldBack = false;

  constructor(
    private readonly runtime: Runtime,
    readonly local: Endpoint,
    readonly remote: Endpoint,
    private readonly highWaterBytes: number,
  ) {}

  connectTo(other: MemoryPipe): void {
    this.#other = other;
  }

  get handler(): PipeHandler | undefined {
    return this.#handler;
  }

  set handler(handler: PipeHandler | undefined) {
    this.#handler = handler;
    if (handler !== undefined) this.#scheduleDelivery();
  }

  get queuedBytes(): number {
    const other = this.#other;
    return other === undefined ? 0 : other.#incomingBytes;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const other = this.#other;
    if (other === undefined || this.#closing || this.#outgoingEnded || other.#closing) return true;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      other.#incoming.push(chunk);
      other.#incomingBytes += chunk.length;
    }
    other.#scheduleDelivery();
    this.#heldBack = other.#incomingBytes > this.highWaterBytes;
    return !this.#heldBack;
  }

  shareReads(): void {
    this.#sharesReads = true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#scheduleDelivery();
  }

  end(): void {
    if (this.#outgoingEnded || this.#closing) return;
    this.#outgoingEnded = true;
    const other = this.#other;
    if (other !== undefined) {
      other.#incomingEnded = true;
      other.#scheduleDelivery();
    }
    this.#scheduleDelivery();
  }

  destroy(error?: Error): void {
    this.#close(error, true);
    // What this end has sent before it was destroyed may be lost, as with a reset connection.
    const other = this.#other;
    if (other !== undefined) other.#close(undefined, false);
  }

  #close(error: Error | undefined, dropIncoming: boolean): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#closeError = error;
    if (dropIncoming) {
      this.#incoming = [];
      this.#incomingBytes = 0;
    }
    this.#scheduleDelivery();
  }

  #scheduleDelivery(): void {
    if (this.#deliveryScheduled) return;
    this.#deliveryScheduled = true;
    this.runtime.defer(() => {
      this.#deliveryScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#incoming.length > 0 && !this.#paused && this.#handler !== undefined) {
      const chunk = this.#incoming.shift() as Uint8Array;
      this.#incomingBytes -= chunk.length;
      if (this.#sharesReads) deliverForCall(this.#handler, chunk);
      else this.#handler.onBytes(chunk);
    }
    this.#releaseWriter();
    if (this.#handler === undefined) return;
    if (this.#incoming.length === 0 && this.#incomingEnded && !this.#endDelivered && !this.#closing) {
      this.#endDelivered = true;
      this.#handler.onEnd();
    }
    // An orderly close on both sides closes the pipe, as a TCP connection does after both FINs.
    if (this.#endDelivered && this.#outgoingEnded) this.#close(undefined, false);
    if (this.#closing && !this.#closeDelivered && (this.#incoming.length === 0 || this.#paused)) {
      this.#closeDelivered = true;
      this.#handler.onClose(this.#closeError);
    }
  }

  #releaseWriter(): void {
    const other = this.#other;
    if (other === undefined || !other.#heldBack || this.#incomingBytes > this.highWaterBytes / 2) return;
    other.#heldBack = false;
    if (!other.#closing) other.#handler?.onDrain();
  }
}

/** Whoever keeps the bytes longer than the call finds them wiped. */
function deliverForCall(handler: PipeHandler, chunk: Uint8Array): void {
  const bytes = new Uint8Array(chunk);
  handler.onBytes(bytes);
  bytes.fill(0xff);
}
