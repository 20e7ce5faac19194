import { Buffer } from 'node:buffer';
import { HpackError } from '../hpack/error.js';
import { type ConnectionCore } from './core.js';
import { ErrorCode } from './error-code.js';
import { Flag } from './frame.js';
import { type HeaderBlock } from './header-block.js';
import { HeaderReader } from './header-reader.js';
import { Rate } from './rate-limits.js';
import { Stream } from './stream.js';

/**
 * HEADERS and CONTINUATION (RFC 9113 sections 4.3, 6.2, 6.10): puts header blocks together, decodes them in order of arrival
 * and decides what each is for its stream. Every block is decoded, also for streams that are closed or refused, because
 * later blocks may refer to what it inserted.
 *
 * Invariant: while `streamId > 0` a header block is unfinished, and only its CONTINUATION may follow.
 */
export class HeaderReceiver {
  /** Stream of the unfinished header block, or 0. */
  streamId = 0;
  private endStream = false;
  private parts: Buffer[] = [];
  private bytes = 0;
  private continuations = 0;
  /** The peer has acknowledged our MAX_CONCURRENT_STREAMS. */
  private limitKnown = false;
  private readonly reader: HeaderReader;

  constructor(private readonly core: ConnectionCore) {
    this.reader = new HeaderReader(core.options, core.stats);
  }

  /** Our SETTINGS are in force. */
  settingsAcknowledged(): void {
    this.limitKnown = true;
    this.reader.settingsAcknowledged();
  }

  headers(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    if (streamId === 0) return core.fail(ErrorCode.PROTOCOL_ERROR, 'HEADERS on stream 0');
    const padded = (flags & Flag.PADDED) !== 0;
    const prioritised = (flags & Flag.PRIORITY) !== 0;
    if (end - start < (padded ? 1 : 0) + (prioritised ? 5 : 0)) {
      return core.fail(ErrorCode.FRAME_SIZE_ERROR, `HEADERS of ${end - start} octets`);
    }
    if (padded) end -= buffer[start++];
    if (prioritised) start += 5;
    if (start > end) return core.fail(ErrorCode.PROTOCOL_ERROR, 'HEADERS with more padding than content');
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) return this.complete(streamId, endStream, buffer, start, end);
    this.streamId = streamId;
    this.endStream = endStream;
    this.continuations = 0;
    this.append(buffer, start, end);
  }

  continuation(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    if (this.streamId === 0 || streamId !== this.streamId) {
      return core.fail(ErrorCode.PROTOCOL_ERROR, 'CONTINUATION without its HEADERS');
    }
    if (++this.continuations > core.options.maxContinuationFrames) {
      return core.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many CONTINUATION frames');
    }
    this.append(buffer, start, end);
    if (core.closed || (flags & Flag.END_HEADERS) === 0) return;
    const block = Buffer.concat(this.parts, this.bytes);
    this.streamId = 0;
    this.parts = [];
    this.bytes = 0;
    this.complete(streamId, this.endStream, block, 0, block.length);
  }

  private append(buffer: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    if (this.bytes > this.core.options.maxHeaderBlockBytes) {
      this.core.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header block is too large');
    } else this.parts.push(Buffer.from(buffer.subarray(start, end)));
  }

  private complete(streamId: number, endStream: boolean, buffer: Buffer, start: number, end: number): void {
    const { core } = this;
    if (end - start > core.options.maxHeaderBlockBytes) {
      return core.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header block is too large');
    }
    let block: HeaderBlock | undefined;
    try {
      block = this.reader.read(buffer, start, end);
    } catch (error) {
      if (!(error instanceof HpackError)) throw error;
      return core.fail(ErrorCode.COMPRESSION_ERROR, error.message);
    }
    const stream = core.streams.get(streamId);
    if (stream !== undefined) this.onOpenStream(stream, block, endStream);
    else if (core.isIdle(streamId)) this.onIdleStream(streamId, block, endStream);
    else this.onClosedStream(streamId);
  }

  /** The answer on a client, or trailers on either side. */
  private onOpenStream(stream: Stream, block: HeaderBlock | undefined, endStream: boolean): void {
    const { core } = this;
    if (!stream.remoteOpen) return core.streamError(stream, ErrorCode.STREAM_CLOSED);
    if (block === undefined) return core.streamError(stream, ErrorCode.ENHANCE_YOUR_CALM);
    if (stream.headersReceived) {
      const proper = block.kind === 'trailers' && endStream && stream.contentRemaining <= 0;
      if (!proper) return core.streamError(stream, ErrorCode.PROTOCOL_ERROR);
      stream.remoteOpen = false;
      core.events.trailers(stream, block);
    } else {
      if (block.kind !== 'response') return core.streamError(stream, ErrorCode.PROTOCOL_ERROR);
      const status = block.get(':status') ?? '';
      if (status.startsWith('1')) return this.onInterimResponse(stream, endStream);
      stream.headersReceived = true;
      // An answer to HEAD and a 304 name the length of content that they do not have (RFC 9110 section 8.6).
      if (!endStream && status !== '204' && status !== '304') stream.contentRemaining = block.contentLength;
      stream.remoteOpen = !endStream;
      core.events.headers(stream, block, endStream);
    }
    if (endStream) core.remoteEnded(stream);
  }

  /** 1xx answers mean nothing to gRPC (RFC 9113 section 8.1). */
  private onInterimResponse(stream: Stream, endStream: boolean): void {
    if (endStream) this.core.streamError(stream, ErrorCode.PROTOCOL_ERROR);
    else this.core.count(Rate.EMPTY);
  }

  /** A request opens a stream on a server (RFC 9113 section 5.1.1); a client takes no streams from its peer. */
  private onIdleStream(streamId: number, block: HeaderBlock | undefined, endStream: boolean): void {
    const { core } = this;
    if (core.isClient || (streamId & 1) === 0) {
      return core.fail(ErrorCode.PROTOCOL_ERROR, `HEADERS on stream ${streamId}, which the peer cannot open`);
    }
    core.lastPeerId = streamId;
    if (streamId > core.drain.lastAccepted) return;
    if (core.streams.size + core.untakenEnds >= core.options.maxConcurrentStreams) {
      // Whoever has not read our limit yet is refused, but not to blame.
      return this.limitKnown
        ? core.refuse(streamId, ErrorCode.REFUSED_STREAM)
        : core.sendReset(streamId, ErrorCode.REFUSED_STREAM);
    }
    if (block === undefined) return core.refuse(streamId, ErrorCode.ENHANCE_YOUR_CALM);
    if (block.kind !== 'request' || (endStream && block.contentLength > 0)) {
      return core.refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    }
    const stream = new Stream(streamId, core.peerSettings.initialWindowSize, core.receiveFlow.streamWindow);
    stream.headersReceived = true;
    stream.contentRemaining = block.contentLength;
    stream.remoteOpen = !endStream;
    core.streams.add(stream);
    core.lastAcceptedId = streamId;
    core.stats.streamsOpened++;
    core.events.headers(stream, block, endStream);
  }

  private onClosedStream(streamId: number): void {
    const { core } = this;
    // Late frames are in order after our own reset, and on a client after anything that it has forgotten.
    if (core.isClient || streamId > core.drain.lastAccepted || core.closedStreams.endReset(streamId)) return;
    if (core.closedStreams.wasEnded(streamId)) {
      return core.fail(ErrorCode.STREAM_CLOSED, `HEADERS on stream ${streamId}, which has ended`);
    }
    core.fail(ErrorCode.PROTOCOL_ERROR, `HEADERS on stream ${streamId} after stream ${core.lastPeerId}`);
  }
}
