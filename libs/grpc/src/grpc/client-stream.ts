import { type CallPlan, ClientCall, type ClientCallHost } from './client-call.js';
import { type GrpcError } from './error.js';
import { type IncomingMetadata } from './metadata.js';

/**
 * A streaming call of a client. Callbacks are set right after the call was made, before anything can arrive.
 */
export interface ClientStream {
  /** The headers of the answer arrived. Not called when the answer has none of its own (it failed at once). */
  onHeaders: ((metadata: IncomingMetadata) => void) | undefined;
  /** One message of the answer; valid during the call only. */
  onMessage: ((message: Uint8Array) => void) | undefined;
  /** The call is over: without an error when its status was OK. Called exactly once, also after `cancel`; nothing follows. */
  onEnd: ((error: GrpcError | undefined, trailers: IncomingMetadata | undefined) => void) | undefined;
  /** A stream that held back takes messages again. */
  onDrain: (() => void) | undefined;
  readonly isEnded: boolean;
  /**
   * Queues one message; the bytes belong to the transport afterwards. False: hold back until `onDrain`. Dropped when the
   * call has ended.
   * @throws Error after `halfClose`.
   */
  send(message: Uint8Array): boolean;
  /** We send no more messages. */
  halfClose(): void;
  /** Gives the call up: it ends with Canceled, before this returns. Ignored when it has ended. */
  cancel(): void;
  /** Stops and restarts `onMessage` and `onEnd`; the peer then feels the window close. */
  pause(): void;
  resume(): void;
}

/** Messages may be sent before the stream is open; they wait in `#waiting`. */
export class ClientStreamCall extends ClientCall implements ClientStream {
  onHeaders: ((metadata: IncomingMetadata) => void) | undefined = undefined;
  onMessage: ((message: Uint8Array) => void) | undefined = undefined;
  onEnd: ((error: GrpcError | undefined, trailers: IncomingMetadata | undefined) => void) | undefined =
    undefined;
  onDrain: (() => void) | undefined = undefined;
  #waiting: Uint8Array[] = [];
  #isHalfClosed = false;

  constructor(
    host: ClientCallHost,
    plan: CallPlan,
    private readonly defect: (error: unknown) => void,
  ) {
    super(host, plan);
  }

  send(message: Uint8Array): boolean {
    if (this.#isHalfClosed) throw new Error('send after halfClose');
    if (this.isEnded) return true;
    if (this.stream !== undefined) return this.sendMessage(message, false);
    this.#waiting.push(message);
    return false;
  }

  halfClose(): void {
    if (this.#isHalfClosed) return;
    this.#isHalfClosed = true;
    this.sendEnd();
  }

  override writable(): void {
    this.#guard(this.onDrain);
  }

  protected override started(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let hasRoom = true;
    for (const message of waiting) hasRoom = this.sendMessage(message, false);
    if (this.#isHalfClosed) this.sendEnd();
    else if (hasRoom && waiting.length > 0) this.#guard(this.onDrain);
  }

  protected override notifyHeaders(metadata: IncomingMetadata): void {
    this.#guard(() => this.onHeaders?.(metadata));
  }

  protected override notifyMessage(message: Uint8Array): void {
    const { onMessage } = this;
    if (onMessage === undefined) return;
    try {
      onMessage(message);
    } catch (error) {
      this.#failed(error);
    }
  }

  protected override notifyEnd(error: GrpcError | undefined, trailers: IncomingMetadata | undefined): void {
    this.#waiting = [];
    this.#guard(() => this.onEnd?.(error, trailers));
  }

  #guard(callback: (() => void) | undefined): void {
    if (callback === undefined) return;
    try {
      callback();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A callback threw: a defect of its owner. The call is given up, the connection lives on. */
  #failed(error: unknown): void {
    this.defect(error);
    this.cancel();
  }
}
