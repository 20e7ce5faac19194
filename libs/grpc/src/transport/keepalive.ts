import { type Runtime, type Timer } from '../runtime.js';

/** When to probe a silent peer, as in gRPC's keepalive. */
export interface KeepaliveOptions {
  /** Silence of the peer after which it is pinged. Infinity turns keepalive off. */
  readonly intervalMs: number;
  /** Further silence after which the connection counts as dead. */
  readonly timeoutMs: number;
  /** Ping also while no call is open. Servers punish clients that do so unasked. */
  readonly withoutStreams: boolean;
}

/** The connection that is probed. */
export interface KeepaliveTarget {
  readonly openStreams: number;
  sendPing(): void;
  /** Nothing arrived for the whole timeout after a ping. */
  peerIsSilent(): void;
}

/**
 * Probes a connection. Any byte of the peer is a sign of life, not only the answer to a ping. There is one timer per
 * connection, set anew only when it fires, so that traffic costs nothing but {@link noteReceived}.
 */
export class Keepalive {
  #lastReceivedAt: number;
  #pingSentAt: number | undefined;
  #isDormant = false;
  #timer: Timer | undefined;

  constructor(
    private readonly runtime: Runtime,
    private readonly options: KeepaliveOptions,
    private readonly target: KeepaliveTarget,
  ) {
    this.#lastReceivedAt = runtime.now();
    if (options.intervalMs !== Infinity) this.#arm(options.intervalMs);
  }

  noteReceived(): void {
    this.#lastReceivedAt = this.runtime.now();
  }

  /** A stream was opened: a connection that was not probed because it had none is probed at once if it was silent. */
  noteStreamOpened(): void {
    if (!this.#isDormant) return;
    this.#isDormant = false;
    this.#timer?.cancel();
    this.#check();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isDormant = false;
  }

  #arm(delayMs: number): void {
    this.#timer = this.runtime.after(delayMs, () => this.#check());
  }

  #check(): void {
    this.#timer = undefined;
    const now = this.runtime.now();
    if (this.#pingSentAt !== undefined && this.#lastReceivedAt < this.#pingSentAt) {
      const left = this.#pingSentAt + this.options.timeoutMs - now;
      if (left > 0) this.#arm(left);
      else this.target.peerIsSilent();
      return;
    }
    this.#pingSentAt = undefined;
    const left = this.#lastReceivedAt + this.options.intervalMs - now;
    if (left > 0) {
      this.#arm(left);
    } else if (!this.options.withoutStreams && this.target.openStreams === 0) {
      this.#isDormant = true;
    } else {
      this.#pingSentAt = now;
      this.target.sendPing();
      this.#arm(this.options.timeoutMs);
    }
  }
}
