/** How many streams of each kind are remembered; a peer learns of a closing within one round trip. */
const REMEMBERED = 1024;

/**
 * Remembers which streams were closed lately, because frames for them mean different things (RFC 9113 section 5.1): after
 * our own RST_STREAM the peer's frames may still be on their way, after its own end they are errors.
 */
export class ClosedStreams {
  private readonly reset = new IdRing(REMEMBERED);
  private readonly ended = new IdRing(REMEMBERED / 4);

  /** We reset the stream: late frames of the peer are ignored. */
  addReset(id: number): void {
    this.reset.add(id);
  }

  /** The peer ended or reset the stream: it may send nothing more. */
  addEnded(id: number): void {
    this.ended.add(id);
  }

  wasReset(id: number): boolean {
    return this.reset.has(id);
  }

  wasEnded(id: number): boolean {
    return this.ended.has(id);
  }
}

/** The last identifiers that were added. Searched only when something is wrong already, so a scan will do. */
class IdRing {
  private ids: Uint32Array | undefined;
  private next = 0;

  constructor(private readonly capacity: number) {}

  add(id: number): void {
    this.ids ??= new Uint32Array(this.capacity);
    this.ids[this.next] = id;
    this.next = (this.next + 1) % this.capacity;
  }

  has(id: number): boolean {
    return this.ids?.includes(id) ?? false;
  }
}
