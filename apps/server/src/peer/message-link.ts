import { type ClientStream, type GrpcChannel, type GrpcError, type Timer } from '@conclave/grpc';
import { type MemberId } from '../engine/raft/message.js';
import { MalformedMessageError } from './byte-fields.js';
import {
  decodeGreeting,
  isPassing,
  metadataOf,
  peerPaths,
  type RefusalCause,
  refusalCauseOf,
} from './introduction.js';
import { encodeBatch } from './message-codec.js';
import { type Lane, type WireMessage } from './message-kinds.js';
import { OutgoingQueue } from './outgoing-queue.js';
import { isConnectionRefused, openPeerChannel, type PeerContext } from './peer-context.js';
import { RetryDelay } from './retry-delay.js';

/** What a link tells the one who owns it. Nothing is called after `close`. */
export interface LinkOwner {
  linkReady(link: MessageLink): void;
  /** A link that was ready broke: what was on the way may be lost. */
  linkLost(link: MessageLink, reason: string): void;
  /** A link that was ready broke, and nothing listens any more at any URL of the member. Said once per loss. */
  linkUnreachable(link: MessageLink): void;
  linkRefused(link: MessageLink, cause: RefusalCause, message: string): void;
  messageDropped(message: WireMessage): void;
}

/** A link that lived shorter than this before it broke is not trusted to come back at once. */
const provenAfterMs = 1_000;

/**
 * One stream of messages to one member, on a connection of its own, made anew as long as the link is open. Messages go
 * out in order. What waits while an attempt to connect fails is dropped: raft says it again, in its newest form.
 *
 * Invariant: `#stream` and `#channel` are defined exactly in the states connecting and ready, `#timer` (the pause before
 * the next attempt, or the patience with a member that does not greet) in all states but ready and closed.
 */
export class MessageLink {
  readonly #queue: OutgoingQueue;
  readonly #delay: RetryDelay;
  #state: 'waiting' | 'connecting' | 'ready' | 'closed' = 'waiting';
  #channel: GrpcChannel | undefined;
  #stream: ClientStream | undefined;
  #timer: Timer | undefined;
  #isBlocked = false;
  #readyAt = 0;
  #url = 0;
  /** Attempts in a row, since the link broke, at whose URL nothing listened. */
  #refusedInRow = 0;
  /** The link was ready, broke, and its owner has not heard yet whether the member is gone. */
  #isLossOpen = false;

  constructor(
    private readonly context: PeerContext,
    readonly to: MemberId,
    readonly lane: Lane,
    private urls: readonly string[],
    private readonly owner: LinkOwner,
  ) {
    const { runtime, limits } = context;
    this.#queue = new OutgoingQueue(lane, limits.queueBytes[lane]);
    this.#delay = new RetryDelay(runtime, limits.retryFirstMs, limits.retryLongestMs);
    this.#connectLater();
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** The channel, while the link is ready. */
  get channel(): GrpcChannel | undefined {
    return this.isReady ? this.#channel : undefined;
  }

  get queuedBytes(): number {
    return this.#queue.bytes;
  }

  /** Queues a message; `flush` sends what is queued. */
  push(message: WireMessage): void {
    if (this.#state === 'closed') return;
    this.#queue.push(message, (dropped) => this.owner.messageDropped(dropped));
  }

  flush(): void {
    while (this.isReady && !this.#isBlocked && this.#queue.length > 0) {
      const batch = encodeBatch(this.#queue.take(this.context.limits.batchBytes));
      this.context.metrics.of(this.to).sentBytes.add(batch.length);
      this.#isBlocked = this.#stream?.send(batch) === false;
    }
  }

  /** The member is elsewhere from now on. A connection to a URL that is still its own is kept. */
  setUrls(urls: readonly string[]): void {
    if (this.#state === 'closed') return;
    const current = this.urls[this.#url];
    this.urls = urls;
    this.#url = current === undefined ? -1 : urls.indexOf(current);
    if (this.#url >= 0) return;
    this.#url = 0;
    if (this.#stream !== undefined) this.#stream.cancel();
    this.#delay.succeeded();
    this.#connectLater();
  }

  /** The member called: it is there again, so this link does not wait out the pause that its absence has earned. */
  heard(): void {
    if (this.#state !== 'waiting') return;
    this.#delay.heard();
    this.#connectLater();
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#release();
    this.#queue.clear();
  }

  #connectLater(): void {
    this.#state = 'waiting';
    this.#timer?.cancel();
    this.#timer = this.context.runtime.after(this.#delay.next(), () => this.#connect());
  }

  #connect(): void {
    const { context, lane, to } = this;
    const { clusterId, memberId: from, peerUrls, limits, runtime } = context;
    this.#state = 'connecting';
    this.#timer = runtime.after(limits.connectTimeoutMs, () => this.#stream?.cancel());
    try {
      this.#channel = openPeerChannel(context, this.urls[this.#url] ?? '');
      const metadata = metadataOf({ clusterId, from, to, peerUrls, lane });
      this.#attach(this.#channel.stream(peerPaths.messages, { metadata }));
    } catch (error) {
      // A URL that is none, or certificates that cannot be read.
      this.#ended(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #attach(stream: ClientStream): void {
    this.#stream = stream;
    stream.onMessage = (bytes) => this.#answered(stream, bytes);
    stream.onDrain = () => {
      this.#isBlocked = false;
      this.flush();
    };
    stream.onEnd = (error) => {
      if (stream === this.#stream) this.#ended(error);
    };
  }

  /** The member says who it is; only then it is told anything. */
  #answered(stream: ClientStream, bytes: Uint8Array): void {
    if (stream !== this.#stream || this.#state !== 'connecting') return;
    const { clusterId, runtime } = this.context;
    let problem: string | undefined;
    try {
      const greeting = decodeGreeting(bytes);
      if (greeting.clusterId !== clusterId) problem = `cluster ${greeting.clusterId.toString(16)}`;
      else if (greeting.memberId !== this.to) problem = `member ${greeting.memberId.toString(16)}`;
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      problem = error.message;
    }
    if (problem !== undefined) {
      this.owner.linkRefused(
        this,
        'receiver',
        `${this.urls[this.#url]} is not this member: ${problem} answers there`,
      );
      this.#delay.refused();
      stream.cancel();
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state = 'ready';
    this.#isBlocked = false;
    this.#readyAt = runtime.now();
    this.#isLossOpen = false;
    this.owner.linkReady(this);
    this.flush();
  }

  #ended(error: Error | GrpcError | undefined): void {
    const wasReady = this.#state === 'ready';
    this.#release();
    if (this.#isClosed()) return;
    const cause = error !== undefined && 'metadata' in error ? refusalCauseOf(error.metadata) : undefined;
    if (wasReady) this.#lost(cause, error?.message ?? 'the member ended the stream');
    else this.#failed(error);
    if (this.#isClosed()) return;
    if (cause !== undefined) {
      this.owner.linkRefused(this, cause, error?.message ?? cause);
      if (!isPassing(cause)) this.#delay.refused();
    }
    if (!this.#isClosed()) this.#connectLater();
  }

  #lost(cause: RefusalCause | undefined, reason: string): void {
    const { runtime } = this.context;
    if (cause === undefined && runtime.now() - this.#readyAt >= provenAfterMs) this.#delay.succeeded();
    this.#isLossOpen = true;
    this.#refusedInRow = 0;
    this.owner.linkLost(this, reason);
  }

  #failed(error: Error | undefined): void {
    for (const message of this.#queue.take(Infinity)) this.owner.messageDropped(message);
    this.#refusedInRow = isConnectionRefused(error) ? this.#refusedInRow + 1 : 0;
    this.#url = (this.#url + 1) % Math.max(1, this.urls.length);
    if (!this.#isLossOpen || this.#refusedInRow < this.urls.length) return;
    this.#isLossOpen = false;
    this.owner.linkUnreachable(this);
  }

  /** Owners may close the link from within what it tells them. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #release(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const channel = this.#channel;
    this.#channel = undefined;
    this.#stream = undefined;
    void channel?.close();
  }
}
