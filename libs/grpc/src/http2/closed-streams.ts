/** How many streams that we reset are remembered; a peer learns of a reset within one round trip. */
const RESET_REMEMBERED = 1024;

/** How many streams that the peer ended are remembered; only the choice of an error code depends on it. */
const ENDED_REMEMBERED = 256;

/**
 * Remembers which streams were closed lately, because frames for them mean different things (RFC 9113 section 5.1): after
 * our own RST_STREAM the peer's frames may still be on their way, after its own end they are errors.
 */
export class ClosedStreams {
  /** In the order in which they were reset. */
  private readonly reset = new Set<number>();
  private ended: Uint32Array | undefined;
  private endedNext = 0;

  /** We reset the stream: late frames of the peer are ignored. */
  addReset(id: number): void {
    this.reset.add(id);
    if (this.reset.size <= RESET_REMEMBERED) return;
    for (const oldest of this.reset) {
      this.reset.delete(oldest);
      return;
    }
  }

  /** Whether we reset the stream, and the peer has not ended it since. */
  wasReset(id: number): boolean {
    return this.reset.has(id);
  }

  /** The peer ends a stream that we have reset already: it did not know. Returns false when that is not so. */
  endReset(id: number): boolean {
    if (!this.reset.delete(id)) return false;
    this.addEnded(id);
    return true;
  }

  /** The peer ended or reset the stream: it may send nothing more. */
  addEnded(id: number): void {
    this.ended ??= new Uint32Array(ENDED_REMEMBERED);
    this.ended[this.endedNext] = id;
    this.endedNext = (this.endedNext + 1) % ENDED_REMEMBERED;
  }

  wasEnded(id: number): boolean {
    return this.ended?.includes(id) ?? false;
  }
}
