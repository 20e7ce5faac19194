import { type Timer } from '@conclave/grpc';
import { type MemberId } from '../engine/raft/message.js';
import { isPassing, peerPaths, type RefusalCause } from './introduction.js';
import { laneOf, type WireMessage } from './message-kinds.js';
import { type LinkOwner, MessageLink } from './message-link.js';
import { idText, type PeerContext } from './peer-context.js';
import { type PeerInstruments } from './peer-metrics.js';

/** What is learned from the way to another member. */
export interface PeerEvents {
  unreachable(peer: MemberId): void;
  sendFailed(peer: MemberId): void;
  /** That member says that this one was removed from the cluster. */
  removedBy(peer: MemberId): void;
}

const noBytes = new Uint8Array(0);

/** The way to one other member: a link for each lane, and a probe that measures the round trip. */
export class RemotePeer implements LinkOwner {
  readonly #urgent: MessageLink;
  readonly #bulk: MessageLink;
  readonly #instruments: PeerInstruments;
  #urls: readonly string[];
  #probeTimer: Timer | undefined;
  #isFailureTold = false;

  constructor(
    private readonly context: PeerContext,
    readonly id: MemberId,
    urls: readonly string[],
    private readonly events: PeerEvents,
  ) {
    this.#urls = urls;
    this.#instruments = context.metrics.of(id);
    this.#urgent = new MessageLink(context, id, 'urgent', urls, this);
    this.#bulk = new MessageLink(context, id, 'bulk', urls, this);
  }

  get urls(): readonly string[] {
    return this.#urls;
  }

  get queuedBytes(): number {
    return this.#urgent.queuedBytes + this.#bulk.queuedBytes;
  }

  /** Queues a message; `flush` sends. */
  push(message: WireMessage): void {
    if (laneOf(message.kind) === 'bulk') this.#bulk.push(message);
    else this.#urgent.push(message);
  }

  flush(): void {
    this.#urgent.flush();
    this.#bulk.flush();
  }

  setUrls(urls: readonly string[]): void {
    if (urls.length === this.#urls.length && urls.every((url, i) => url === this.#urls[i])) return;
    this.#urls = urls;
    this.#urgent.setUrls(urls);
    this.#bulk.setUrls(urls);
  }

  /** The member began to speak to this one. */
  heard(): void {
    this.#urgent.heard();
    this.#bulk.heard();
  }

  close(): void {
    this.#probeTimer?.cancel();
    this.#urgent.close();
    this.#bulk.close();
    this.#instruments.active.set(0);
  }

  linkReady(link: MessageLink): void {
    const { logger, refusals } = this.context;
    this.#countActive();
    refusals.forget(idText(this.id));
    if (link !== this.#urgent) return;
    logger.info('connected to a member', { 'remote-peer-id': idText(this.id) });
    this.#probe();
  }

  linkLost(link: MessageLink, reason: string): void {
    this.#countActive();
    this.#instruments.disconnected.add(1);
    if (link === this.#urgent) {
      this.#probeTimer?.cancel();
      this.context.logger.warn('lost the connection to a member', {
        'remote-peer-id': idText(this.id),
        reason,
      });
    }
    this.events.sendFailed(this.id);
  }

  linkUnreachable(link: MessageLink): void {
    if (link !== this.#urgent) return;
    this.context.logger.warn('a member is gone: nothing listens at its peer URLs', {
      'remote-peer-id': idText(this.id),
      urls: this.#urls,
    });
    this.events.unreachable(this.id);
  }

  linkRefused(_link: MessageLink, cause: RefusalCause, message: string): void {
    if (cause === 'removed') {
      this.events.removedBy(this.id);
      return;
    }
    if (isPassing(cause)) return;
    const said = `a member does not speak with this one: ${message}`;
    // Nothing that others do ends this: somebody has to act here.
    const level = cause === 'twin' ? 'error' : 'warn';
    this.context.refusals.say(idText(this.id), cause, said, { urls: this.#urls }, level);
  }

  /** Told once a turn that something was dropped: raft then starts over from what the member confirms. */
  messageDropped(message: WireMessage): void {
    this.#instruments.sendFailures.add(1);
    if (message.kind === 'heartbeat') this.context.metrics.heartbeatSendFailures.add(1);
    if (message.kind !== 'append' || this.#isFailureTold) return;
    this.#isFailureTold = true;
    this.context.runtime.defer(() => {
      this.#isFailureTold = false;
      this.events.sendFailed(this.id);
    });
  }

  #countActive(): void {
    this.#instruments.active.set(Number(this.#urgent.isReady) + Number(this.#bulk.isReady));
  }

  #probe(): void {
    const { runtime, limits } = this.context;
    const channel = this.#urgent.channel;
    if (channel === undefined) return;
    const sentAt = runtime.now();
    const again = (): void => {
      this.#probeTimer?.cancel();
      if (channel === this.#urgent.channel)
        this.#probeTimer = runtime.after(limits.probeIntervalMs, () => this.#probe());
    };
    channel.unary(peerPaths.probe, noBytes, { timeoutMs: limits.probeIntervalMs }).then(
      () => {
        this.#instruments.roundTrip.observe((runtime.now() - sentAt) / 1_000);
        again();
      },
      // A lost connection is noticed elsewhere; a slow one is asked again.
      again,
    );
  }
}
