import { type Buffer } from 'node:buffer';
import { type HeaderBlock } from './header-block.js';
import { type Stream } from './stream.js';

/** Why a connection ended; see {@link ConnectionEvents.closed}. */
export interface CloseReason {
  /** HTTP/2 error code (RFC 9113 section 7); NO_ERROR when the transport ended without one. */
  readonly code: number;
  /** A sentence fragment for logs, for example "SETTINGS frame of 7 octets". */
  readonly reason: string;
  /** `local`: we found a violation and queued GOAWAY; `transport`: the byte stream below ended. */
  readonly origin: 'local' | 'transport';
}

/**
 * What a connection tells the layer above. The methods are called synchronously from inside {@link Connection} methods,
 * in the order in which the frames arrived, and may call any method of the connection except `receive`. They must not
 * throw: an exception closes the connection with INTERNAL_ERROR and leaves through the method that was called.
 */
export interface ConnectionEvents {
  /**
   * The initial header block of a stream: a request on a server (this is how a stream opens), the final response on a
   * client (1xx answers are skipped). The block has been validated (RFC 9113 section 8). With `endStream` nothing follows.
   */
  headers(stream: Stream, block: HeaderBlock, endStream: boolean): void;

  /** The trailers of a stream; nothing follows. */
  trailers(stream: Stream, block: HeaderBlock): void;

  /**
   * Payload octets `buffer[start, end)`, without padding. The range is valid during the call only: copy what must live
   * longer. Every octet must be handed back with `connection.consumed(stream, n)`, now or later, or the peer runs out of
   * window. `end - start` may be 0 when `endStream` is set.
   */
  data(stream: Stream, buffer: Buffer, start: number, end: number, endStream: boolean): void;

  /**
   * The stream ended abnormally and is closed; what was queued for it is dropped. `peer`: RST_STREAM arrived. `local`: the
   * core reset the stream because of a violation by the peer or an exceeded limit. `goaway`: the peer's GOAWAY says that
   * it never processed the stream (code REFUSED_STREAM, safe to retry elsewhere). Not called for `connection.reset`.
   */
  reset(stream: Stream, code: number, origin: 'peer' | 'local' | 'goaway'): void;

  /** What `sendData` queued has drained below half of the mark after `sendData` returned false. */
  writable(stream: Stream): void;

  /** The peer stops opening (or accepting) streams. Streams above `lastStreamId` are reported by `reset` right after. */
  goaway(lastStreamId: number, code: number, debug: Buffer): void;

  /** The peer acknowledged the ping of this number (see `connection.ping`). */
  pong(id: number): void;

  /** SETTINGS of the peer arrived and are in force (`connection.peerSettings`); the first time this ends the handshake. */
  settings(): void;

  /** A GOAWAY was sent or received, no stream is left and nothing will follow: write the output, then end the transport. */
  drained(): void;

  /**
   * There is output to take. Called at most once between two calls of `takeOutput`: schedule one write per tick here, do
   * not take from inside. The first call comes from inside of the constructor, for the preface and SETTINGS.
   */
  output(): void;

  /**
   * The connection is over, reported exactly once. While this runs `connection.forEachStream` still lists the streams that
   * were open; afterwards they are closed without a further event. With origin `local` a last GOAWAY waits in the output.
   */
  closed(reason: CloseReason): void;
}
