import {
  type ClientTlsOptions,
  type Pipe,
  type Runtime,
  type StreamCall,
  type StreamHandler,
} from '@conclave/grpc';
import { type Disk } from '../engine/platform/disk.js';
import { type Logger } from '../engine/platform/logger.js';
import { type Meter } from '../engine/platform/meter.js';
import { type Random } from '../engine/platform/random.js';
import { type MemberId } from '../engine/raft/message.js';
import { type PeerMessage } from '../engine/replica/peer-message.js';
import { type PeerTransport, type StateFile } from '../engine/replica/peer-transport.js';
import { type Introduction } from './introduction.js';
import { type WireMessage } from './message-kinds.js';
import { defaultLimits, idText, type PeerContext, type PeerLimits } from './peer-context.js';
import { PeerMetrics } from './peer-metrics.js';
import { type ListMembers, type PeerHost, PeerService } from './peer-service.js';
import { RefusalLog } from './refusal-log.js';
import { RemotePeer } from './remote-peer.js';
import { StateReceiver } from './state-receiver.js';
import { StateSender, StateTransferError } from './state-sender.js';
import { clearSpools } from './state-spool.js';

export interface GrpcPeerTransportOptions {
  readonly runtime: Runtime;
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** Where other members reach this one. */
  readonly peerUrls: readonly string[];
  /** Members that are known of before the replica says who they are; they are heard and answered. */
  readonly acquaintances?: ReadonlyMap<MemberId, readonly string[]>;
  /** States of other members are received here; nothing else may be in it. */
  readonly spoolDirectory: string;
  readonly tls?: () => ClientTlsOptions;
  readonly limits?: Partial<PeerLimits>;
  readonly onDefect: (error: unknown, where: string) => void;
}

/** Members that this one answers without knowing them; the oldest makes room. */
const strangersMax = 16;

/**
 * The network of a member over gRPC. Each member calls each other one: two streams of messages, and one for each state.
 *
 * A caller of the same cluster that this member does not know is heard all the same: whoever lags behind must take the
 * entries that tell of a new member from that very member (thesis 4.1). It says itself where it is to be answered. Only
 * callers that were removed are refused for who they are.
 *
 * Invariant: a member is in at most one of `#peers` (members of the configuration), `#strangers` and `#removed`.
 */
export class GrpcPeerTransport implements PeerTransport, PeerHost {
  onMessage: PeerTransport['onMessage'];
  onUnreachable: PeerTransport['onUnreachable'];
  onSendFailed: PeerTransport['onSendFailed'];
  onRemoved: PeerTransport['onRemoved'];
  /** Set by the replica: whether the replicated state knows an id as that of a member that was removed. */
  isRemoved: ((member: MemberId) => boolean) | undefined;
  readonly #context: PeerContext;
  readonly #service: PeerService;
  readonly #receiver: StateReceiver;
  readonly #peers = new Map<MemberId, RemotePeer>();
  readonly #strangers = new Map<MemberId, RemotePeer>();
  readonly #removed = new Set<MemberId>();
  readonly #sending = new Map<MemberId, StateSender>();
  #isClosed = false;
  #isRemovalTold = false;

  private constructor(private readonly options: GrpcPeerTransportOptions) {
    const { runtime, logger, meter, clusterId, memberId, peerUrls, onDefect, tls } = options;
    this.#context = {
      runtime,
      logger,
      metrics: new PeerMetrics(meter, memberId),
      refusals: new RefusalLog(logger),
      limits: { ...defaultLimits, ...options.limits },
      clusterId,
      memberId,
      peerUrls,
      tls: tls ?? (() => ({})),
      onDefect,
    };
    this.#receiver = new StateReceiver(this.#context, options.disk, options.spoolDirectory);
    this.#service = new PeerService(this.#context, this);
    for (const [id, urls] of options.acquaintances ?? []) {
      this.#strangers.set(id, new RemotePeer(this.#context, id, urls, this));
    }
  }

  /** Removes what interrupted transfers left behind. @throws DiskError */
  static async open(options: GrpcPeerTransportOptions): Promise<GrpcPeerTransport> {
    const cleared = await clearSpools(options.disk, options.spoolDirectory);
    if (cleared > 0) options.logger.info('removed states that were not received whole', { files: cleared });
    return new GrpcPeerTransport(options);
  }

  get onState(): PeerTransport['onState'] {
    return this.#receiver.onState;
  }

  set onState(callback: PeerTransport['onState']) {
    this.#receiver.onState = callback;
  }

  /** Members that are answered although the replica has not named them. */
  get strangerCount(): number {
    return this.#strangers.size;
  }

  /** What other members, and members that join, are told of the cluster. */
  set listMembers(list: ListMembers) {
    this.#service.listMembers = list;
  }

  /** Takes a connection of another member. */
  serve(pipe: Pipe, head: Uint8Array): void {
    this.#service.serve(pipe, head);
  }

  send(messages: readonly PeerMessage[]): void {
    if (this.#isClosed) return;
    for (const message of messages) {
      if (message.kind === 'snapshot') continue;
      this.#reach(message.to)?.push(message);
    }
    for (const peer of this.#peers.values()) peer.flush();
    if (this.#strangers.size > 0) for (const peer of this.#strangers.values()) peer.flush();
  }

  setPeers(peers: ReadonlyMap<MemberId, readonly string[]>): void {
    if (this.#isClosed) return;
    for (const [id, peer] of this.#peers) {
      if (peers.has(id)) continue;
      this.#peers.delete(id);
      this.#removed.add(id);
      this.#sending.get(id)?.cancel();
      peer.close();
    }
    for (const [id, urls] of peers) {
      if (id !== this.options.memberId) this.#setPeer(id, urls);
    }
    for (const [id, peer] of this.#strangers) {
      if (!this.wasRemoved(id)) continue;
      this.#strangers.delete(id);
      peer.close();
    }
    this.#service.refuseRemoved();
  }

  async sendState(to: MemberId, senderTerm: number, state: StateFile): Promise<void> {
    const { metrics } = this.#context;
    if (this.#isClosed || this.#reach(to) === undefined) {
      throw new StateTransferError(`there is no member ${idText(to)} to send a state to`);
    }
    if (this.#sending.has(to))
      throw new StateTransferError(`a state is on its way to member ${idText(to)} already`);
    const urls = (): readonly string[] => this.#reach(to)?.urls ?? [];
    const sender = new StateSender(this.#context, this.options.disk, to, urls, this.options.random.uint64());
    this.#sending.set(to, sender);
    try {
      await sender.send(senderTerm, state);
      metrics.statesSent.add(1);
    } catch (error) {
      metrics.statesFailed.add(1);
      throw error;
    } finally {
      this.#sending.delete(to);
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const sender of this.#sending.values()) sender.cancel();
    for (const peer of [...this.#peers.values(), ...this.#strangers.values()]) peer.close();
    await this.#receiver.close();
    await this.#service.close();
  }

  // What the service asks.

  get isRunning(): boolean {
    return this.onMessage !== undefined && !this.#isClosed;
  }

  wasRemoved(member: MemberId): boolean {
    return !this.#peers.has(member) && (this.#removed.has(member) || this.isRemoved?.(member) === true);
  }

  peerUrlsOf(member: MemberId): readonly string[] | undefined {
    return this.#peers.get(member)?.urls;
  }

  introduced({ from, peerUrls }: Introduction): boolean {
    const urls = peerUrls.filter((url) => URL.canParse(url));
    const stranger = this.#strangers.get(from);
    if (!this.#peers.has(from) && urls.length === 0) return false;
    if (!this.#peers.has(from) && stranger === undefined) this.#welcome(from, urls);
    stranger?.setUrls(urls);
    // After an absence it must be answered soon: an election may hang on it.
    this.#reach(from)?.heard();
    return true;
  }

  take(message: WireMessage): void {
    if (!this.#isClosed) this.onMessage?.(message);
  }

  openState(call: StreamCall, introduction: Introduction): StreamHandler {
    return this.#receiver.open(call, introduction);
  }

  // What the way to a member tells.

  unreachable(member: MemberId): void {
    if (!this.#isClosed) this.onUnreachable?.(member);
  }

  sendFailed(member: MemberId): void {
    if (!this.#isClosed) this.onSendFailed?.(member);
  }

  removedBy(member: MemberId): void {
    if (this.#isClosed || this.#isRemovalTold) return;
    this.#isRemovalTold = true;
    this.#context.logger.warn('this member was removed from the cluster', { 'told-by': idText(member) });
    this.onRemoved?.();
  }

  #reach(member: MemberId): RemotePeer | undefined {
    return this.#peers.get(member) ?? this.#strangers.get(member);
  }

  #setPeer(id: MemberId, urls: readonly string[]): void {
    this.#removed.delete(id);
    const known = this.#reach(id);
    if (known === undefined) {
      this.#peers.set(id, new RemotePeer(this.#context, id, urls, this));
      return;
    }
    this.#strangers.delete(id);
    this.#peers.set(id, known);
    known.setUrls(urls);
  }

  #welcome(id: MemberId, urls: readonly string[]): void {
    this.#context.logger.info('a member of this cluster speaks that this one does not know yet', {
      'remote-peer-id': idText(id),
      urls,
    });
    for (const [oldest, peer] of this.#strangers) {
      if (this.#strangers.size < strangersMax) break;
      this.#strangers.delete(oldest);
      peer.close();
    }
    this.#strangers.set(id, new RemotePeer(this.#context, id, urls, this));
  }
}
