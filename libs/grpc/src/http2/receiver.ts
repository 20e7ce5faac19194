import { Buffer } from 'node:buffer';
import { assert } from './assert.js';
import { type ConnectionCore } from './core.js';
import { ErrorCode } from './error-code.js';
import { CLIENT_PREFACE, Flag, FrameType, UINT31_MAX } from './frame.js';
import { type FrameHandler, FrameReader } from './frame-reader.js';
import { HeaderReceiver } from './header-receiver.js';
import { Rate } from './rate-limits.js';
import { type Sender } from './sender.js';
import { applySettings, type PeerSettings } from './settings.js';
import { type Stream } from './stream.js';

/** Takes what the peer sends, frame by frame (RFC 9113 section 6). */
export class Receiver implements FrameHandler {
  private readonly frames: FrameReader;
  private readonly headers: HeaderReceiver;
  /** Octets of the client's preface that have arrived (server). */
  private prefaceBytes: number;
  private settingsAcknowledged = false;
  private receiving = false;

  constructor(
    private readonly core: ConnectionCore,
    private readonly sender: Sender,
  ) {
    this.frames = new FrameReader(this, core.options.maxFrameSize);
    this.headers = new HeaderReceiver(core);
    this.prefaceBytes = core.isClient ? CLIENT_PREFACE.length : 0;
  }

  get stopped(): boolean {
    return this.core.closed;
  }

  get isReadingHeaders(): boolean {
    return !this.core.closed && (this.headers.streamId !== 0 || this.frames.isWithinHeaders);
  }

  receive(bytes: Uint8Array): void {
    const { core } = this;
    assert(!this.receiving, 'receive is not called from inside of an event');
    if (core.closed) return;
    core.stats.bytesIn += bytes.length;
    const buffer = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.receiving = true;
    try {
      const from = this.prefaceBytes < CLIENT_PREFACE.length ? this.preface(buffer) : 0;
      if (!core.closed) this.frames.read(buffer, from);
    } catch (error) {
      core.fail(ErrorCode.INTERNAL_ERROR, 'an event handler failed');
      throw error;
    } finally {
      this.receiving = false;
    }
  }

  frameTooLarge(length: number): void {
    this.core.fail(ErrorCode.FRAME_SIZE_ERROR, `frame of ${length} octets`);
  }

  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core, headers } = this;
    core.stats.framesIn++;
    if (headers.streamId !== 0 && type !== FrameType.CONTINUATION) {
      return core.fail(ErrorCode.PROTOCOL_ERROR, 'header block is interrupted');
    }
    if (!core.peerSettingsReceived && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0)) {
      return core.fail(ErrorCode.PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    }
    switch (type) {
      case FrameType.DATA:
        return this.data(flags, streamId, buffer, start, end);
      case FrameType.HEADERS:
        return headers.headers(flags, streamId, buffer, start, end);
      case FrameType.CONTINUATION:
        return headers.continuation(flags, streamId, buffer, start, end);
      case FrameType.WINDOW_UPDATE:
        return this.windowUpdate(streamId, buffer, start, end);
      case FrameType.RST_STREAM:
        return this.rstStream(streamId, buffer, start, end);
      case FrameType.PING:
        return this.ping(flags, streamId, buffer, start, end);
      case FrameType.SETTINGS:
        return this.settings(flags, streamId, buffer, start, end);
      case FrameType.GOAWAY:
        return this.goaway(streamId, buffer, start, end);
      case FrameType.PRIORITY:
        return this.priority(streamId, start, end);
      case FrameType.PUSH_PROMISE:
        return core.fail(ErrorCode.PROTOCOL_ERROR, 'PUSH_PROMISE, although push is disabled');
      default:
        core.count(Rate.IGNORED);
    }
  }

  /** Compares the octets with the client's preface. Returns the position behind it, or behind everything. */
  private preface(buffer: Buffer): number {
    let position = 0;
    while (position < buffer.length && this.prefaceBytes < CLIENT_PREFACE.length) {
      if (buffer[position++] !== CLIENT_PREFACE[this.prefaceBytes++]) {
        this.core.fail(ErrorCode.PROTOCOL_ERROR, 'no HTTP/2 preface');
        return buffer.length;
      }
    }
    return position;
  }

  private data(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    const length = end - start;
    if (streamId === 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'DATA on stream 0');
    if ((flags & Flag.PADDED) !== 0) {
      if (length === 0) return core.fail(ErrorCode.FRAME_SIZE_ERROR, 'padded DATA without a length');
      end -= buffer[start++];
      if (start > end) return core.fail(ErrorCode.PROTOCOL_ERROR, 'DATA with more padding than content');
    }
    if (!core.receiveFlow.received(length)) {
      return core.fail(ErrorCode.FLOW_CONTROL_ERROR, 'DATA beyond the connection window');
    }
    const stream = core.streams.get(streamId);
    if (stream?.remoteOpen !== true) return this.dataOnClosedStream(streamId, stream, length);
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) return this.dataError(stream, length, ErrorCode.FLOW_CONTROL_ERROR);
    if (!stream.headersReceived) return this.dataError(stream, length, ErrorCode.PROTOCOL_ERROR);
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if (!acceptsContent(stream, end - start, endStream)) {
      return this.dataError(stream, length, ErrorCode.PROTOCOL_ERROR);
    }
    this.deliver(stream, buffer, start, end, length, endStream);
  }

  private deliver(
    stream: Stream,
    buffer: Buffer,
    start: number,
    end: number,
    length: number,
    endStream: boolean,
  ): void {
    const { core } = this;
    const content = end - start;
    if (endStream) stream.remoteOpen = false;
    if (length > content) core.receiveFlow.discardPadding(stream, length - content);
    if (content === 0 && !endStream) {
      core.count(Rate.EMPTY);
      return;
    }
    stream.unconsumed += content;
    core.stats.dataBytesIn += content;
    core.events.data(stream, buffer, start, end, endStream);
    if (endStream) core.remoteEnded(stream);
  }

  private dataError(stream: Stream, length: number, code: number): void {
    this.core.receiveFlow.discard(length);
    this.core.streamError(stream, code);
  }

  private dataOnClosedStream(streamId: number, stream: Stream | undefined, length: number): void {
    const { core } = this;
    if (stream === undefined && core.isIdle(streamId)) {
      return core.fail(ErrorCode.PROTOCOL_ERROR, `DATA on stream ${streamId}, which is idle`);
    }
    core.receiveFlow.discard(length);
    if (stream !== undefined) return core.streamError(stream, ErrorCode.STREAM_CLOSED);
    // Late frames are in order after our own reset, and on a client after anything that it has forgotten.
    if (core.isClient || core.closedStreams.wasReset(streamId) || streamId > core.drain.lastAccepted) {
      if (length === 0) core.count(Rate.EMPTY);
    } else core.refuse(streamId, ErrorCode.STREAM_CLOSED);
  }

  private windowUpdate(streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core, sender } = this;
    if (end - start !== 4)
      return core.fail(ErrorCode.FRAME_SIZE_ERROR, `WINDOW_UPDATE of ${end - start} octets`);
    if (!core.count(Rate.WINDOW_UPDATE)) return;
    const increment = buffer.readUInt32BE(start) & UINT31_MAX;
    if (streamId === 0) {
      if (increment === 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      core.sendWindow += increment;
      if (core.sendWindow > UINT31_MAX) {
        return core.fail(ErrorCode.FLOW_CONTROL_ERROR, 'connection window above 2^31-1');
      }
      return sender.windowOpened();
    }
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      if (core.isIdle(streamId)) core.fail(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0) return core.streamError(stream, ErrorCode.PROTOCOL_ERROR);
    stream.sendWindow += increment;
    if (stream.sendWindow > UINT31_MAX) return core.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR);
    sender.schedule(stream);
  }

  private rstStream(streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    if (end - start !== 4)
      return core.fail(ErrorCode.FRAME_SIZE_ERROR, `RST_STREAM of ${end - start} octets`);
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      if (streamId === 0 || core.isIdle(streamId)) {
        return core.fail(ErrorCode.PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      }
      // Resets cross: the peer's is in order while it cannot know of ours.
      if (!core.closedStreams.endReset(streamId)) core.count(Rate.PEER_RESET);
      return;
    }
    core.stats.peerResets++;
    core.abandoned(stream, buffer.readUInt32BE(start), 'peer');
    core.count(Rate.PEER_RESET);
  }

  private ping(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    if (streamId !== 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'PING on a stream');
    if (end - start !== 8) return core.fail(ErrorCode.FRAME_SIZE_ERROR, `PING of ${end - start} octets`);
    if ((flags & Flag.ACK) !== 0) {
      const id = core.control.acknowledgedPing(buffer, start);
      if (id < 0) core.count(Rate.IGNORED);
      else if (!core.drain.pong(id)) core.events.pong(id);
      return;
    }
    core.stats.pingsIn++;
    if (!core.count(Rate.PING)) return;
    // The text is part of gRPC's protocol: clients lengthen their keepalive interval when they see it (proposal A8).
    if (core.strikes.received(core.streams.size)) core.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too_many_pings');
    else core.control.pingAck(buffer, start);
  }

  private settings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    const length = end - start;
    if (streamId !== 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'SETTINGS on a stream');
    if ((flags & Flag.ACK) !== 0) {
      if (length !== 0)
        return core.fail(ErrorCode.FRAME_SIZE_ERROR, `SETTINGS acknowledgement of ${length} octets`);
      return this.onSettingsAck();
    }
    if (length % 6 !== 0) return core.fail(ErrorCode.FRAME_SIZE_ERROR, `SETTINGS frame of ${length} octets`);
    if (!core.count(Rate.SETTINGS)) return;
    const settings = applySettings(core.peerSettings, buffer, start, end, core.isClient);
    if ('code' in settings) return core.fail(settings.code, settings.reason);
    if (!this.adopt(settings)) return;
    core.control.settingsAck();
    core.events.settings();
  }

  /** Puts the peer's settings in force. Returns false when that ended the connection. */
  private adopt(settings: PeerSettings): boolean {
    const { core, sender } = this;
    const change = settings.initialWindowSize - core.peerSettings.initialWindowSize;
    core.encoder.setPeerTableSize(settings.headerTableSize);
    core.peerSettings = settings;
    core.peerSettingsReceived = true;
    if (change === 0) return true;
    for (const stream of core.streams.all()) {
      stream.sendWindow += change;
      if (stream.sendWindow > UINT31_MAX) {
        core.fail(ErrorCode.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE lifts a stream window above 2^31-1');
        return false;
      }
      sender.schedule(stream);
    }
    return true;
  }

  private onSettingsAck(): void {
    const { core } = this;
    if (this.settingsAcknowledged) {
      core.count(Rate.IGNORED);
      return;
    }
    this.settingsAcknowledged = true;
    core.receiveFlow.settingsAcknowledged(core.streams.all());
    this.headers.settingsAcknowledged();
  }

  private goaway(streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    if (streamId !== 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'GOAWAY on a stream');
    if (end - start < 8) return core.fail(ErrorCode.FRAME_SIZE_ERROR, `GOAWAY of ${end - start} octets`);
    if (!core.count(Rate.IGNORED)) return;
    const last = buffer.readUInt32BE(start) & UINT31_MAX;
    core.drain.peerGoaway = true;
    core.events.goaway(last, buffer.readUInt32BE(start + 4), buffer.subarray(start + 8, end));
    if (core.isClient) {
      for (const stream of core.streams.all()) {
        if (stream.id > last && !stream.closed) core.abandoned(stream, ErrorCode.REFUSED_STREAM, 'goaway');
      }
    }
    core.drain.check();
  }

  /** Priorities are deprecated (RFC 9113 section 5.3); their frames are checked and ignored. */
  private priority(streamId: number, start: number, end: number): void {
    const { core } = this;
    if (streamId === 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'PRIORITY on stream 0');
    if (!core.count(Rate.IGNORED)) return;
    if (end - start === 5) return;
    const stream = core.streams.get(streamId);
    if (stream !== undefined) core.streamError(stream, ErrorCode.FRAME_SIZE_ERROR);
    else core.fail(ErrorCode.FRAME_SIZE_ERROR, `PRIORITY of ${end - start} octets`);
  }
}

/** Keeps account of content-length (RFC 9113 section 8.1.1). Returns false when the content differs from it. */
function acceptsContent(stream: Stream, octets: number, endStream: boolean): boolean {
  if (stream.contentRemaining < 0) return true;
  stream.contentRemaining -= octets;
  return endStream ? stream.contentRemaining === 0 : stream.contentRemaining >= 0;
}
