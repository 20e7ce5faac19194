import { assert } from './assert.js';
import { type ControlFrames } from './control-frames.js';
import { DEFAULT_WINDOW } from './frame.js';
import { type ResolvedOptions } from './options.js';
import { type Stream } from './stream.js';

/**
 * Flow control of what we receive (RFC 9113 section 5.2). Octets count against the windows when they arrive; they are
 * returned to the peer when the application has consumed them, in updates of at least half a window.
 *
 * Invariants: `window + returnable + (all octets delivered and not consumed)` is the connection window that the peer was
 * told; per stream the same holds with `receiveWindow`, `returnable` and `unconsumed` and {@link streamWindow}.
 */
export class ReceiveFlow {
  /** Initial window of a new stream. Until our SETTINGS are acknowledged the peer may still use the RFC's. */
  streamWindow: number;
  private window: number;
  private returnable = 0;
  private readonly connectionThreshold: number;
  private readonly streamThreshold: number;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly control: ControlFrames,
  ) {
    this.streamWindow = Math.max(DEFAULT_WINDOW, options.initialWindowSize);
    this.window = options.connectionWindowSize;
    this.connectionThreshold = Math.max(1, options.connectionWindowSize >>> 1);
    this.streamThreshold = Math.max(1, options.initialWindowSize >>> 1);
  }

  /** Announces the part of the connection window that exceeds the RFC's. */
  begin(): void {
    const more = this.options.connectionWindowSize - DEFAULT_WINDOW;
    if (more > 0) this.control.windowUpdate(0, more);
  }

  /** The peer has acknowledged our SETTINGS: streams that began before change by the difference (section 6.9.2). */
  settingsAcknowledged(streams: Iterable<Stream>): void {
    const change = this.options.initialWindowSize - this.streamWindow;
    this.streamWindow = this.options.initialWindowSize;
    if (change !== 0) for (const stream of streams) stream.receiveWindow += change;
  }

  /** A DATA frame of so many octets, padding included, arrived. Returns false when the connection window is exceeded. */
  received(octets: number): boolean {
    this.window -= octets;
    return this.window >= 0;
  }

  /** Octets that the application will not see (padding, data of closed streams) go back to the connection window. */
  discard(octets: number): void {
    this.returnable += octets;
    if (this.returnable < this.connectionThreshold) return;
    this.window += this.returnable;
    this.control.windowUpdate(0, this.returnable);
    this.returnable = 0;
  }

  /** Padding of a stream goes back to both windows. */
  discardPadding(stream: Stream, octets: number): void {
    this.discard(octets);
    this.returnToStream(stream, octets);
  }

  /** The application has consumed octets that were delivered to it. */
  consumed(stream: Stream, octets: number): void {
    if (octets === 0) return;
    assert(Number.isSafeInteger(octets) && octets > 0, 'consumed octets are a positive integer');
    if (stream.released) return;
    assert(octets <= stream.unconsumed, 'no more octets are consumed than were delivered');
    stream.unconsumed -= octets;
    this.discard(octets);
    this.returnToStream(stream, octets);
  }

  /** The stream was reset: the application need not consume what it holds of it. */
  release(stream: Stream): void {
    stream.released = true;
    if (stream.unconsumed > 0) this.discard(stream.unconsumed);
    stream.unconsumed = 0;
  }

  private returnToStream(stream: Stream, octets: number): void {
    if (!stream.remoteOpen || stream.closed) return;
    stream.returnable += octets;
    if (stream.returnable < this.streamThreshold) return;
    stream.receiveWindow += stream.returnable;
    this.control.windowUpdate(stream.id, stream.returnable);
    stream.returnable = 0;
  }
}
