import { type Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import { type Pipe, type PipeHandler } from '@conclave/grpc';

/**
 * A pipe of the transport as a Node stream, so that Node's HTTP server can speak on a connection whose first bytes
 * the client port has read.
 */
export class PipeDuplex extends Duplex {
  /** The socket properties that Node's HTTP server and its users look at. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly encrypted: boolean;
  readonly #pipe: Pipe;
  /** Called when the pipe has room again for what was written last. */
  #written: ((error?: Error | null) => void) | undefined;
  #isPaused = false;

  /** @param head Bytes that were received before. */
  constructor(pipe: Pipe, head: Uint8Array) {
    super({ allowHalfOpen: true });
    this.#pipe = pipe;
    this.remoteAddress = pipe.remote.address;
    this.remotePort = pipe.remote.port;
    this.encrypted = pipe.tls !== undefined;
    if (head.length > 0) this.push(head);
    pipe.handler = this.#handler();
  }

  override _read(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#pipe.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const buffers = chunks.map(({ chunk }) => chunk);
    this.#send(buffers, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#pipe.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#pipe.destroy(error ?? undefined);
    done(error);
  }

  #send(chunks: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    if (this.#pipe.write(chunks)) done();
    else this.#written = done;
  }

  #received(chunk: Uint8Array): void {
    if (this.push(chunk) || this.#isPaused) return;
    this.#isPaused = true;
    this.#pipe.pause();
  }

  #drained(): void {
    const done = this.#written;
    this.#written = undefined;
    done?.();
  }

  #handler(): PipeHandler {
    return {
      onOpen: () => undefined,
      onBytes: (chunk) => this.#received(chunk),
      onDrain: () => this.#drained(),
      onEnd: () => void this.push(null),
      onClose: (error) => void this.destroy(error),
    };
  }
}
