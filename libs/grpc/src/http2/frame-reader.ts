import { Buffer } from 'node:buffer';
import { FRAME_HEADER_BYTES, FrameType } from './frame.js';

/** Takes the frames; a class rather than a callback, so that the call is direct. */
export interface FrameHandler {
  /** Nothing more is to be parsed: the connection is over. */
  readonly stopped: boolean;
  /** A whole frame with the payload `buffer[start, end)`, valid during the call. The identifier is without its reserved bit. */
  frame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void;
  /** A frame header announces more than `maxFrameSize`. */
  frameTooLarge(length: number): void;
}

/**
 * Cuts the octets of the transport into frames (RFC 9113 section 4.1), in place. Only a frame that is cut by the end of a
 * chunk is copied: its beginning is kept until the rest has arrived.
 *
 * Invariant: `rest[0, restLength)` is the beginning of one frame, shorter than the frame; it is at most
 * `9 + maxFrameSize` octets.
 */
export class FrameReader {
  private rest = Buffer.alloc(0);
  private restLength = 0;

  constructor(
    private readonly handler: FrameHandler,
    private readonly maxFrameSize: number,
  ) {}

  /** The frame that is cut by the end of the last chunk is part of a header block. */
  get isWithinHeaders(): boolean {
    const type = this.rest[3];
    return this.restLength > 3 && (type === FrameType.HEADERS || type === FrameType.CONTINUATION);
  }

  read(bytes: Buffer, from: number): void {
    let position = this.restLength > 0 ? this.completeRest(bytes, from) : from;
    while (!this.handler.stopped && bytes.length - position >= FRAME_HEADER_BYTES) {
      const length = this.lengthAt(bytes, position);
      if (length < 0 || bytes.length - position < FRAME_HEADER_BYTES + length) break;
      this.emit(bytes, position, length);
      position += FRAME_HEADER_BYTES + length;
    }
    if (position < bytes.length && !this.handler.stopped) this.append(bytes, position, bytes.length);
  }

  /** Completes the frame that was cut and emits it. Returns the position behind what it took. */
  private completeRest(bytes: Buffer, from: number): number {
    let position = from;
    if (this.restLength < FRAME_HEADER_BYTES) {
      position = this.appendUpTo(FRAME_HEADER_BYTES, bytes, position);
      if (this.restLength < FRAME_HEADER_BYTES) return position;
    }
    const length = this.lengthAt(this.rest, 0);
    if (length < 0) return position;
    const total = FRAME_HEADER_BYTES + length;
    position = this.appendUpTo(total, bytes, position);
    if (this.restLength < total) return position;
    this.restLength = 0;
    this.emit(this.rest, 0, length);
    // An idle connection does not keep a large buffer.
    if (this.rest.length > 4096) this.rest = Buffer.alloc(0);
    return position;
  }

  private appendUpTo(total: number, bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + total - this.restLength);
    this.append(bytes, from, end);
    return end;
  }

  private append(bytes: Buffer, from: number, end: number): void {
    const needed = this.restLength + end - from;
    if (needed > this.rest.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(64, needed * 2));
      this.rest.copy(grown, 0, 0, this.restLength);
      this.rest = grown;
    }
    bytes.copy(this.rest, this.restLength, from, end);
    this.restLength = needed;
  }

  /** Payload length of the frame at `position`, or -1 when it is too large and the handler was told. */
  private lengthAt(buffer: Buffer, position: number): number {
    const length = (buffer[position] << 16) | (buffer[position + 1] << 8) | buffer[position + 2];
    if (length <= this.maxFrameSize) return length;
    this.handler.frameTooLarge(length);
    return -1;
  }

  private emit(buffer: Buffer, position: number, length: number): void {
    const streamId =
      ((buffer[position + 5] & 0x7f) << 24) |
      (buffer[position + 6] << 16) |
      (buffer[position + 7] << 8) |
      buffer[position + 8];
    const start = position + FRAME_HEADER_BYTES;
    this.handler.frame(buffer[position + 3], buffer[position + 4], streamId, buffer, start, start + length);
  }
}
