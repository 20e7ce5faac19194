/** Who lends the bytes of a chunk to a sink. */
export interface ChunkLender {
  /** The sink refers to the chunk no more. Called once for each chunk, or never: then the bytes are not written again. */
  returned(): void;
}

/**
 * Where the responses of one watch stream go.
 *
 * What is sent belongs to the sink: the bytes are not written again, so they may be kept without a copy, until the sink
 * gives them back, which it need not. A send is never refused; `false` asks to hold back until `WatchStream.drained()` is called, which must happen later, not within
 * the send. A sink must not throw, and may close the stream from within a send.
 */
export interface WatchSink {
  /** Takes one encoded WatchResponse. */
  send(message: Uint8Array): boolean;
  /**
   * Takes several at once, if the transport can: `chunk` holds `messages` encoded WatchResponses back to back, each
   * behind gRPC's prefix of five bytes (0: not compressed; length, u32 big endian), just as they go into DATA frames.
   */
  sendFramed?(chunk: Uint8Array, messages: number, lender: ChunkLender): boolean;
}
