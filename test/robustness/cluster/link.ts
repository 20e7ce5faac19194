import { type Socket } from 'node:net';

/**
 * What happens to bytes on their way: `held` ones wait until the link is open again, as TCP sends again what a short
 * disturbance swallowed; `lost` ones are gone, and with them the connection once the link is open again. When a connection
 * has carried `afterBytes`, `damaged` changes one bit of whatever arrives, behind the checksums of TCP, and `torn` ends it.
 */
export type Condition =
  | { readonly kind: 'open' }
  | { readonly kind: 'delayed'; readonly ms: number }
  | { readonly kind: 'held' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'damaged' | 'torn'; readonly afterBytes: number };

const open: Condition = { kind: 'open' };

/** The way from one member to another one: one direction of every connection between the two, whoever made it. */
export class Link {
  private readonly passages = new Set<Passage>();
  private current = open;

  get condition(): Condition {
    return this.current;
  }

  set condition(condition: Condition) {
    this.current = condition;
    for (const passage of [...this.passages]) passage.conditionChanged();
  }

  /** Carries what `source` sends to `sink` from now on. */
  join(source: Socket, sink: Socket): void {
    const passage = new Passage(this, source, sink);
    this.passages.add(passage);
    sink.once('close', () => this.passages.delete(passage));
  }

  heal(): void {
    this.condition = open;
  }

  /** Ends all connections at once, for both sides with RST. */
  reset(): void {
    for (const passage of [...this.passages]) passage.reset();
  }

  /** Tells the receivers that nothing more comes (FIN), while the other direction goes on. */
  halfClose(): void {
    for (const passage of [...this.passages]) passage.halfClose();
  }
}

interface Chunk {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

/**
 * One direction of one connection.
 *
 * Invariant: `queue` has what the source sent and the sink did not get, in order, unless bytes were lost.
 */
class Passage {
  private readonly queue: Chunk[] = [];
  /** Bytes are missing: nothing more may get through. */
  private isTorn = false;
  private carried = 0;
  private sourceEnd: 'none' | 'finished' | 'broken' = 'none';
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly link: Link,
    private readonly source: Socket,
    private readonly sink: Socket,
  ) {
    source.on('data', (bytes: Buffer) => this.take(bytes));
    source.on('end', () => this.sourceEnded('finished'));
    source.on('error', () => this.sourceEnded('broken'));
    source.on('close', () => this.sourceEnded(source.readableEnded ? 'finished' : 'broken'));
    sink.on('drain', () => this.pump());
    if (link.condition.kind === 'held') source.pause();
    else source.resume();
  }

  conditionChanged(): void {
    const { kind } = this.link.condition;
    if (kind === 'held') {
      this.source.pause();
      return;
    }
    if (this.isTorn && kind !== 'lost') {
      this.reset();
      return;
    }
    this.source.resume();
    this.pump();
  }

  reset(): void {
    clearTimeout(this.timer);
    this.source.resetAndDestroy();
    this.sink.resetAndDestroy();
  }

  halfClose(): void {
    this.isTorn = true;
    this.sink.end();
  }

  private take(bytes: Buffer): void {
    const { condition } = this.link;
    if (condition.kind === 'lost') this.isTorn = true;
    if (this.isTorn) return;
    this.carried += bytes.length;
    if (condition.kind === 'torn' && this.carried > condition.afterBytes) return this.reset();
    if (condition.kind === 'damaged' && this.carried > condition.afterBytes) bytes[bytes.length >> 1] ^= 1;
    const delay = condition.kind === 'delayed' ? condition.ms : 0;
    this.queue.push({ bytes, dueMs: performance.now() + delay });
    this.pump();
  }

  private sourceEnded(end: 'finished' | 'broken'): void {
    // A reset counts more than the end of what was sent.
    if (this.sourceEnd !== 'broken') this.sourceEnd = end;
    this.pump();
  }

  /** Hands on what is due, and the end behind it. */
  private pump(): void {
    clearTimeout(this.timer);
    const { kind } = this.link.condition;
    if (kind === 'held' || kind === 'lost') return;
    for (let chunk = this.queue[0]; chunk !== undefined; chunk = this.queue[0]) {
      const waitMs = chunk.dueMs - performance.now();
      if (waitMs > 0 && kind === 'delayed') {
        this.timer = setTimeout(() => this.pump(), waitMs);
        return;
      }
      this.queue.shift();
      if (!this.sink.writable) continue;
      if (this.sink.write(chunk.bytes)) continue;
      // Goes on when the sink has drained; until then the source's own flow control holds it back.
      this.source.pause();
      return;
    }
    if (this.sourceEnd === 'broken') this.sink.resetAndDestroy();
    else if (this.sourceEnd === 'finished') this.sink.end();
    else this.source.resume();
  }
}
