import { HpackEncoder } from '../hpack/encoder.js';
import { ClosedStreams } from './closed-streams.js';
import { ControlFrames } from './control-frames.js';
import { Drain } from './drain.js';
import { ErrorCode } from './error-code.js';
import { type CloseReason, type ConnectionEvents } from './events.js';
import { DEFAULT_WINDOW, UINT31_MAX } from './frame.js';
import { type ConnectionOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { Output } from './output.js';
import { PingStrikes } from './ping-strikes.js';
import { type Rate, Rate as Rates, RateLimits } from './rate-limits.js';
import { ReceiveFlow } from './receive-flow.js';
import { INITIAL_PEER_SETTINGS, type PeerSettings } from './settings.js';
import { createStats } from './stats.js';
import { type Stream } from './stream.js';
import { StreamTable } from './stream-table.js';

export type Role = 'server' | 'client';

/**
 * The state that sending and receiving share: the streams, the peer's settings, and how streams and the connection end.
 *
 * Invariants: `streams` holds exactly the streams that are not closed (apart from the moment of the `closed` event);
 * `queuedBytes` is the sum of their queues; on a server every identifier up to `lastPeerId` has been used or skipped.
 */
export class ConnectionCore {
  readonly isClient: boolean;
  readonly options: ResolvedOptions;
  readonly stats = createStats();
  readonly output: Output;
  readonly control: ControlFrames;
  readonly receiveFlow: ReceiveFlow;
  readonly drain: Drain;
  readonly rates: RateLimits;
  readonly strikes: PingStrikes;
  readonly encoder: HpackEncoder;
  readonly streams = new StreamTable();
  readonly closedStreams = new ClosedStreams();

  closed = false;
  peerSettings: PeerSettings = INITIAL_PEER_SETTINGS;
  peerSettingsReceived = false;
  /** Octets of DATA that we may send on the connection. */
  sendWindow = DEFAULT_WINDOW;
  /** Octets of DATA queued by all streams. */
  queuedBytes = 0;
  /** Highest stream identifier that the peer has used (server). */
  lastPeerId = 0;
  /** Highest stream identifier that was given to the application (server): what GOAWAY names. */
  lastAcceptedId = 0;
  /** Identifier of the next stream that we open (client). */
  nextStreamId = 1;
  /**
   * Streams that we ended since the output was last taken. The peer cannot know yet, so they still count as open: that
   * bounds the answers which a peer that never reads can make us queue.
   */
  untakenEnds = 0;

  constructor(
    role: Role,
    options: ConnectionOptions,
    readonly events: ConnectionEvents,
    now: () => number,
  ) {
    this.isClient = role === 'client';
    this.options = resolveOptions(options);
    this.output = new Output(this.stats, () => events.output());
    this.control = new ControlFrames(this.options, this.output, () =>
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many answers wait for a peer that does not read'),
    );
    this.receiveFlow = new ReceiveFlow(this.options, this.control);
    this.drain = new Drain(this);
    this.rates = new RateLimits(this.options, now);
    this.strikes = new PingStrikes(this.options, now);
    this.encoder = new HpackEncoder(this.options.encoderTableSize);
  }

  /** Queues what each side sends first. */
  begin(): void {
    if (this.isClient) this.control.preface();
    this.control.settings(this.isClient);
    this.receiveFlow.begin();
  }

  get canOpenStream(): boolean {
    return (
      this.isClient &&
      !this.closed &&
      !this.drain.active &&
      this.nextStreamId <= UINT31_MAX &&
      this.streams.size < this.peerSettings.maxConcurrentStreams
    );
  }

  /** Whether a stream of this identifier was never opened (RFC 9113 section 5.1, "idle"). */
  isIdle(id: number): boolean {
    if ((id & 1) === 0) return true;
    return this.isClient ? id >= this.nextStreamId : id > this.lastPeerId;
  }

  /** We sent HEADERS or DATA. */
  sentFrame(): void {
    this.rates.sentFrame();
    this.strikes.sentFrame();
  }

  /** Counts an event of the peer. Returns false when that ended the connection. */
  count(rate: Rate): boolean {
    const excess = this.rates.hit(rate);
    if (excess === undefined) return true;
    this.fail(ErrorCode.ENHANCE_YOUR_CALM, excess);
    return false;
  }

  /** END_STREAM went into the output. A server does not wait for the rest of a request that it has answered. */
  localEnded(stream: Stream): void {
    stream.localOpen = false;
    if (!this.isClient && stream.remoteOpen) this.resetStream(stream, ErrorCode.NO_ERROR);
    else this.closeIfDone(stream);
  }

  /** The peer's END_STREAM was delivered. A client has no use for its half of a stream that is answered. */
  remoteEnded(stream: Stream): void {
    if (stream.closed) return;
    if (this.isClient && stream.localOpen) this.resetStream(stream, ErrorCode.NO_ERROR);
    else this.closeIfDone(stream);
  }

  /** Closes the stream when both sides have ended it. */
  closeIfDone(stream: Stream): void {
    if (stream.closed || stream.localOpen || stream.remoteOpen) return;
    this.closedStreams.addEnded(stream.id);
    this.untakenEnds++;
    this.removeStream(stream);
  }

  /** Resets a stream for the application: RST_STREAM, no event. */
  resetStream(stream: Stream, code: number): void {
    if (stream.closed) return;
    this.sendReset(stream.id, code);
    this.untakenEnds++;
    this.receiveFlow.release(stream);
    this.removeStream(stream);
  }

  /** The peer broke a rule on one stream (RFC 9113 section 5.4.2): RST_STREAM, and the application is told. */
  streamError(stream: Stream, code: number): void {
    if (stream.closed) return;
    this.resetStream(stream, code);
    this.events.reset(stream, code, 'local');
    this.count(Rates.LOCAL_RESET);
  }

  /** Answers a stream that the application does not know with RST_STREAM. */
  refuse(id: number, code: number): void {
    this.sendReset(id, code);
    this.count(Rates.LOCAL_RESET);
  }

  /** The peer ended the stream abnormally: RST_STREAM or a GOAWAY that leaves it out. */
  abandoned(stream: Stream, code: number, origin: 'peer' | 'goaway'): void {
    this.closedStreams.addEnded(stream.id);
    this.receiveFlow.release(stream);
    this.removeStream(stream);
    this.events.reset(stream, code, origin);
  }

  /** Ends the connection with GOAWAY (RFC 9113 section 5.4.1); further calls do nothing. */
  fail(code: number, reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.control.goaway(this.lastAcceptedId, code, reason);
    this.closeAll({ code, reason, origin: 'local' });
  }

  /** The transport ended; nothing can be sent any more. */
  transportClosed(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.closeAll({ code: ErrorCode.NO_ERROR, reason, origin: 'transport' });
  }

  /** Writes RST_STREAM and remembers that frames which cross it are in order. */
  sendReset(id: number, code: number): void {
    this.control.rstStream(id, code);
    this.closedStreams.addReset(id);
    this.stats.localResets++;
  }

  private removeStream(stream: Stream): void {
    this.streams.delete(stream.id);
    this.markClosed(stream);
    if (this.drain.active) this.drain.check();
  }

  private markClosed(stream: Stream): void {
    stream.closed = true;
    stream.localOpen = false;
    stream.remoteOpen = false;
    stream.pendingTrailers = undefined;
    stream.pendingTrailerFields = undefined;
    if (stream.queue.bytes === 0) return;
    this.queuedBytes -= stream.queue.bytes;
    stream.queue.clear();
  }

  private closeAll(reason: CloseReason): void {
    for (const stream of this.streams.all()) this.markClosed(stream);
    this.events.closed(reason);
    this.streams.clear();
  }
}
