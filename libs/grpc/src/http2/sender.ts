import { checkFields } from '../hpack/field-policy.js';
import { PreparedHeaders } from '../hpack/prepared-headers.js';
import { assert } from './assert.js';
import { type ConnectionCore } from './core.js';
import { ErrorCode } from './error-code.js';
import { FRAME_HEADER_BYTES, Flag, FrameType } from './frame.js';
import { type Lender } from './lender.js';
import { REFERENCE_MIN } from './output.js';
import { StreamRing } from './stream-ring.js';
import { type HeaderSource, Stream } from './stream.js';

const EMPTY = new Uint8Array(0);

/**
 * Sends header blocks and data. What the windows and the output allow is written at once; the rest waits in the streams and
 * is moved by {@link takeOutput}, one frame per stream and turn.
 *
 * Invariants: `ring` holds every stream with queued data and an open stream window exactly once (`scheduled`), and possibly
 * closed ones; a stream without queued data never waits, since headers and trailers need no window.
 */
export class Sender {
  private readonly ring = new StreamRing();

  constructor(private readonly core: ConnectionCore) {}

  openStream(headers: HeaderSource, endStream: boolean, extra: readonly string[] | undefined): Stream {
    const { core } = this;
    if (!core.canOpenStream) throw new Error('the connection cannot open a stream now');
    checkSource(headers, extra);
    const stream = new Stream(
      core.nextStreamId,
      core.peerSettings.initialWindowSize,
      core.receiveFlow.streamWindow,
    );
    core.nextStreamId += 2;
    core.stats.streamsOpened++;
    core.streams.add(stream);
    this.sendHeaders(stream, headers, endStream, extra);
    return stream;
  }

  sendHeaders(stream: Stream, headers: HeaderSource, endStream: boolean, extra?: readonly string[]): void {
    if (!stream.localOpen) return;
    assert(!stream.headersSent, 'initial headers are sent once');
    this.writeHeaders(stream.id, headers, extra, endStream);
    stream.headersSent = true;
    if (!endStream) return;
    stream.endQueued = true;
    this.core.localEnded(stream);
  }

  sendData(
    stream: Stream,
    data: Uint8Array,
    endStream: boolean,
    prefix: Uint8Array = EMPTY,
    lender?: Lender,
  ): boolean {
    if (!stream.localOpen || stream.endQueued) return false;
    assert(stream.headersSent, 'headers are sent before data');
    if (endStream) stream.endQueued = true;
    const length = prefix.length + data.length;
    if (!this.mayWriteNow(stream, length)) return this.enqueue(stream, prefix, data, lender);
    this.writeDataHeader(stream, length, endStream);
    if (prefix.length > 0) this.core.output.copy(prefix, 0, prefix.length);
    this.writePayload(data);
    if (lender !== undefined) this.core.output.lent(lender);
    if (endStream) this.core.localEnded(stream);
    return true;
  }

  sendTrailers(stream: Stream, trailers: HeaderSource, extra?: readonly string[]): void {
    if (!stream.localOpen || stream.endQueued) return;
    assert(stream.headersSent, 'headers are sent before trailers');
    stream.endQueued = true;
    if (stream.queue.bytes > 0) {
      checkSource(trailers, extra);
      stream.pendingTrailers = trailers;
      stream.pendingTrailerFields = extra;
      return;
    }
    this.writeHeaders(stream.id, trailers, extra, true);
    this.core.localEnded(stream);
  }

  respondUnary(
    stream: Stream,
    headers: PreparedHeaders,
    prefix: Uint8Array,
    message: Uint8Array,
    trailers: PreparedHeaders,
  ): void {
    const { core } = this;
    const length = prefix.length + message.length;
    const blocks = headers.bytes.length + trailers.bytes.length;
    if (
      !stream.localOpen ||
      stream.headersSent ||
      core.encoder.owesSizeUpdate ||
      length > REFERENCE_MIN ||
      blocks > REFERENCE_MIN ||
      !this.mayWriteNow(stream, length)
    ) {
      this.sendHeaders(stream, headers, false);
      this.sendData(stream, message, false, prefix);
      this.sendTrailers(stream, trailers);
      return;
    }
    const output = core.output;
    output.reserve(3 * FRAME_HEADER_BYTES + blocks + length);
    output.frameHeader(headers.bytes.length, FrameType.HEADERS, Flag.END_HEADERS, stream.id);
    output.copy(headers.bytes, 0, headers.bytes.length);
    this.writeDataHeader(stream, length, false);
    output.copy(prefix, 0, prefix.length);
    output.copy(message, 0, message.length);
    output.frameHeader(
      trailers.bytes.length,
      FrameType.HEADERS,
      Flag.END_HEADERS | Flag.END_STREAM,
      stream.id,
    );
    output.copy(trailers.bytes, 0, trailers.bytes.length);
    stream.headersSent = true;
    stream.endQueued = true;
    core.localEnded(stream);
  }

  takeOutput(): Uint8Array[] {
    const { core } = this;
    core.output.beginTake();
    try {
      if (!core.closed) this.pump();
    } catch (error) {
      core.fail(ErrorCode.INTERNAL_ERROR, 'an event handler failed');
      core.output.endTake();
      throw error;
    }
    core.untakenEnds = 0;
    core.control.taken();
    return core.output.take();
  }

  get hasOutput(): boolean {
    const { core } = this;
    return core.output.size > 0 || (this.ring.length > 0 && core.sendWindow > 0 && !core.closed);
  }

  /** The window of the stream, or the stream itself, has changed so that it may have something to send. */
  schedule(stream: Stream): void {
    if (stream.queue.bytes === 0 || stream.sendWindow <= 0) return;
    if (!stream.scheduled) {
      stream.scheduled = true;
      this.ring.push(stream);
    }
    if (this.core.sendWindow > 0) this.core.output.signal();
  }

  /** The connection window has grown. */
  windowOpened(): void {
    if (this.ring.length > 0 && this.core.sendWindow > 0) this.core.output.signal();
  }

  /** Whether a DATA frame of this payload may be written ahead of nothing that waits, within all limits. */
  private mayWriteNow(stream: Stream, length: number): boolean {
    const { core } = this;
    if (stream.queue.bytes > 0) return false;
    if (length === 0) return true;
    return (
      this.ring.length === 0 &&
      length <= core.sendWindow &&
      length <= stream.sendWindow &&
      length <= core.peerSettings.maxFrameSize &&
      core.output.size < core.options.outputTarget
    );
  }

  private enqueue(stream: Stream, prefix: Uint8Array, data: Uint8Array, lender: Lender | undefined): boolean {
    const { core } = this;
    const length = prefix.length + data.length;
    if (core.queuedBytes > 0 && core.queuedBytes + length > core.options.maxQueuedBytes) {
      core.resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
      core.events.reset(stream, ErrorCode.ENHANCE_YOUR_CALM, 'local');
      return false;
    }
    if (prefix.length > 0) stream.queue.push(Uint8Array.from(prefix));
    stream.queue.push(data, lender);
    core.queuedBytes += length;
    this.schedule(stream);
    if (stream.queue.bytes < core.options.streamQueueMark) return true;
    stream.owesWritable = true;
    return false;
  }

  /** Moves queued data into the output, one frame per stream and turn, until it is full or nothing may be sent. */
  private pump(): void {
    const { core, ring } = this;
    while (ring.length > 0 && core.sendWindow > 0 && core.output.size < core.options.outputTarget) {
      const stream = ring.shift();
      assert(stream !== undefined, 'a ring that is not empty gives a stream');
      stream.scheduled = false;
      if (stream.closed || stream.sendWindow <= 0) continue;
      this.writeQueued(stream);
      if (stream.queue.bytes > 0) this.schedule(stream);
      else if (stream.pendingTrailers !== undefined) {
        this.writeHeaders(stream.id, stream.pendingTrailers, stream.pendingTrailerFields, true);
        core.localEnded(stream);
      } else if (stream.endQueued) core.localEnded(stream);
      if (stream.owesWritable && stream.queue.bytes * 2 <= core.options.streamQueueMark) {
        stream.owesWritable = false;
        if (!stream.closed && !stream.endQueued) core.events.writable(stream);
      }
    }
  }

  /** Writes one DATA frame with as much of the queue as limits allow. */
  private writeQueued(stream: Stream): void {
    const { core } = this;
    const { queue } = stream;
    const queued = queue.bytes;
    let length = Math.min(queued, core.sendWindow, stream.sendWindow, core.peerSettings.maxFrameSize);
    const ends = length === queued && stream.endQueued && stream.pendingTrailers === undefined;
    core.queuedBytes -= length;
    this.writeDataHeader(stream, length, ends);
    while (length > 0) {
      const piece = queue.take(length);
      length -= piece.length;
      this.writePayload(piece);
      if (queue.finished !== undefined) core.output.lent(queue.finished);
    }
  }

  private writeDataHeader(stream: Stream, length: number, endStream: boolean): void {
    const { core } = this;
    core.output.reserve(FRAME_HEADER_BYTES + Math.min(length, REFERENCE_MIN));
    core.output.frameHeader(length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, stream.id);
    core.sendWindow -= length;
    stream.sendWindow -= length;
    core.stats.dataBytesOut += length;
    core.sentFrame();
  }

  private writePayload(bytes: Uint8Array): void {
    const { output } = this.core;
    if (bytes.length >= REFERENCE_MIN) return output.reference(bytes);
    output.reserve(bytes.length);
    output.copy(bytes, 0, bytes.length);
  }

  private writeHeaders(
    streamId: number,
    headers: HeaderSource,
    extra: readonly string[] | undefined,
    endStream: boolean,
  ): void {
    const { core } = this;
    const plain = headers instanceof PreparedHeaders && !headers.indexed && extra === undefined;
    if (plain && !core.encoder.owesSizeUpdate) {
      this.writeBlock(streamId, headers.bytes, headers.bytes.length, endStream);
    } else {
      core.encoder.encode(headers, extra);
      const { writer } = core.encoder;
      this.writeBlock(streamId, writer.buffer, writer.length, endStream);
    }
    core.sentFrame();
  }

  /** Writes `block[0, length)` as HEADERS and, where it exceeds the peer's frame size, CONTINUATION. */
  private writeBlock(streamId: number, block: Uint8Array, length: number, endStream: boolean): void {
    const { output, peerSettings } = this.core;
    let type: number = FrameType.HEADERS;
    let start = 0;
    do {
      const end = Math.min(length, start + peerSettings.maxFrameSize);
      let flags = end === length ? Flag.END_HEADERS : 0;
      if (endStream && type === FrameType.HEADERS) flags |= Flag.END_STREAM;
      output.reserve(FRAME_HEADER_BYTES + end - start);
      output.frameHeader(end - start, type, flags, streamId);
      output.copy(block, start, end);
      type = FrameType.CONTINUATION;
      start = end;
    } while (start < length);
  }
}

/** Checked before the stream changes or waits, so that writing the block later cannot throw. */
function checkSource(headers: HeaderSource, extra: readonly string[] | undefined): void {
  if (!(headers instanceof PreparedHeaders)) checkFields(headers);
  if (extra !== undefined) checkFields(extra);
}
