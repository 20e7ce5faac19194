import { Buffer } from 'node:buffer';
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, Flag, FrameType } from './frame.js';
import { type ResolvedOptions } from './options.js';
import { type Output } from './output.js';
import { SettingId } from './settings.js';

/** Marks our pings, so that their acknowledgements are told from any other. */
const PING_MARK = 0x636f6e63;

/** Octets of the reason in a GOAWAY. */
const DEBUG_BYTES_MAX = 256;

/**
 * Writes the frames that carry no stream content, and counts them: a peer that makes us queue them and never reads must
 * not fill our memory.
 */
export class ControlFrames {
  /** Octets of control frames written since the output was last taken. */
  private waiting = 0;
  private lastPingId = 0;
  private acknowledgedPingId = 0;

  /** @param onFlood called when more than `maxControlOutput` octets wait; may be called again for every further frame. */
  constructor(
    private readonly options: ResolvedOptions,
    private readonly output: Output,
    private readonly onFlood: () => void,
  ) {}

  /** The output was taken. */
  taken(): void {
    this.waiting = 0;
  }

  /** The client's preface (RFC 9113 section 3.4). */
  preface(): void {
    this.output.reserve(CLIENT_PREFACE.length);
    this.output.copy(CLIENT_PREFACE, 0, CLIENT_PREFACE.length);
  }

  /** Our settings. A client refuses pushed streams; a server limits the streams of the client. */
  settings(isClient: boolean): void {
    const { options, output } = this;
    const entries: [id: number, value: number][] = [
      [SettingId.HEADER_TABLE_SIZE, options.headerTableSize],
      [SettingId.INITIAL_WINDOW_SIZE, options.initialWindowSize],
      [SettingId.MAX_FRAME_SIZE, options.maxFrameSize],
      [SettingId.MAX_HEADER_LIST_SIZE, options.maxHeaderListBytes],
      isClient
        ? [SettingId.ENABLE_PUSH, 0]
        : [SettingId.MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams],
    ];
    this.begin(entries.length * 6, FrameType.SETTINGS, 0, 0);
    for (const [id, value] of entries) {
      output.position = output.chunk.writeUInt16BE(id, output.position);
      output.uint32(value);
    }
    this.end();
  }

  settingsAck(): void {
    this.begin(0, FrameType.SETTINGS, Flag.ACK, 0);
    this.end();
  }

  /** Sends a PING and returns its number. */
  ping(): number {
    this.lastPingId = (this.lastPingId + 1) >>> 0;
    this.begin(8, FrameType.PING, 0, 0);
    this.output.uint32(PING_MARK);
    this.output.uint32(this.lastPingId);
    this.end();
    return this.lastPingId;
  }

  /** Acknowledges the PING whose eight octets begin at `start`. */
  pingAck(buffer: Buffer, start: number): void {
    this.begin(8, FrameType.PING, Flag.ACK, 0);
    this.output.copy(buffer, start, start + 8);
    this.end();
  }

  /** The number of our ping that these eight octets acknowledge, or -1 when no such ping is under way. */
  acknowledgedPing(buffer: Buffer, start: number): number {
    const id = buffer.readUInt32BE(start + 4);
    if (buffer.readUInt32BE(start) !== PING_MARK || id <= this.acknowledgedPingId || id > this.lastPingId)
      return -1;
    this.acknowledgedPingId = id;
    return id;
  }

  windowUpdate(streamId: number, increment: number): void {
    this.begin(4, FrameType.WINDOW_UPDATE, 0, streamId);
    this.output.uint32(increment);
    this.end();
  }

  rstStream(streamId: number, code: number): void {
    this.begin(4, FrameType.RST_STREAM, 0, streamId);
    this.output.uint32(code);
    this.end();
  }

  goaway(lastStreamId: number, code: number, reason: string): void {
    const debug = Buffer.from(reason, 'utf8').subarray(0, DEBUG_BYTES_MAX);
    this.begin(8 + debug.length, FrameType.GOAWAY, 0, 0);
    this.output.uint32(lastStreamId);
    this.output.uint32(code);
    this.output.copy(debug, 0, debug.length);
  }

  private begin(length: number, type: number, flags: number, streamId: number): void {
    this.output.reserve(FRAME_HEADER_BYTES + length);
    this.output.frameHeader(length, type, flags, streamId);
    this.waiting += FRAME_HEADER_BYTES + length;
  }

  private end(): void {
    if (this.waiting > this.options.maxControlOutput) this.onFlood();
  }
}
