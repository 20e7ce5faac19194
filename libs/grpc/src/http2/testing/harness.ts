import { Buffer } from 'node:buffer';
import { Connection } from '../connection.js';
import { type Role } from '../core.js';
import { errorCodeName } from '../error-code.js';
import { type CloseReason, type ConnectionEvents } from '../events.js';
import { CLIENT_PREFACE } from '../frame.js';
import { type HeaderBlock } from '../header-block.js';
import { type ConnectionOptions } from '../options.js';
import { type Stream } from '../stream.js';
import { describeFrame, parseFrames, settings, SETTINGS_ACK } from './wire.js';

/**
 * One connection under test on a clock of its own. What happens is written to {@link log} in words; octets go in with
 * {@link feed}, frames come out of {@link frames}.
 */
export class Harness implements ConnectionEvents {
  readonly connection: Connection;
  log: string[] = [];
  now = 0;
  readonly blocks: HeaderBlock[] = [];
  readonly byId = new Map<number, Stream>();
  closeReason: CloseReason | undefined;
  outputSignals = 0;
  /** Data is consumed as it arrives. */
  autoConsume = true;
  /** Called for every request or answer, after it was logged. */
  onHeaders: ((stream: Stream, endStream: boolean) => void) | undefined;
  onData: ((stream: Stream, octets: Buffer, endStream: boolean) => void) | undefined;
  onWritable: ((stream: Stream) => void) | undefined;
  private prefaceTaken: boolean;

  constructor(
    readonly role: Role,
    options: ConnectionOptions = {},
  ) {
    this.prefaceTaken = role === 'server';
    this.connection = new Connection(role, options, this, () => this.now);
  }

  feed(...octets: Uint8Array[]): this {
    this.connection.receive(Buffer.concat(octets));
    return this;
  }

  /** Exchanges preface and settings; the frames and events of it are forgotten. */
  handshake(...entries: [id: number, value: number][]): this {
    if (this.role === 'server') this.feed(CLIENT_PREFACE);
    this.feed(settings(...entries), SETTINGS_ACK);
    this.frames();
    this.log = [];
    return this;
  }

  /** Everything that waits to be written. */
  take(): Buffer {
    return Buffer.concat(this.connection.takeOutput());
  }

  /** Everything that waits to be written, in words; the client's preface is left out. */
  frames(): string[] {
    const octets = this.take();
    const skip = this.prefaceTaken ? 0 : CLIENT_PREFACE.length;
    if (octets.length > 0) this.prefaceTaken = true;
    return parseFrames(octets.subarray(skip)).map(describeFrame);
  }

  /** The stream of this number, which must have been reported or opened. */
  stream(id: number): Stream {
    const stream = this.byId.get(id);
    if (stream === undefined) throw new Error(`no stream ${id}`);
    return stream;
  }

  /** Client: opens a stream with a plain request. */
  open(fields: readonly string[], endStream = false): Stream {
    const stream = this.connection.openStream(fields, endStream);
    this.byId.set(stream.id, stream);
    return stream;
  }

  headers(stream: Stream, block: HeaderBlock, endStream: boolean): void {
    this.byId.set(stream.id, stream);
    this.blocks.push(block);
    this.log.push(`headers ${stream.id}${endStream ? ' end' : ''}`);
    this.onHeaders?.(stream, endStream);
  }

  trailers(stream: Stream, block: HeaderBlock): void {
    this.blocks.push(block);
    this.log.push(`trailers ${stream.id}`);
  }

  data(stream: Stream, buffer: Buffer, start: number, end: number, endStream: boolean): void {
    const octets = Buffer.from(buffer.subarray(start, end));
    const text = octets.length > 40 ? String(octets.length) : JSON.stringify(octets.toString('latin1'));
    this.log.push(`data ${stream.id} ${text}${endStream ? ' end' : ''}`);
    if (this.autoConsume) this.connection.consumed(stream, octets.length);
    this.onData?.(stream, octets, endStream);
  }

  reset(stream: Stream, code: number, origin: string): void {
    this.log.push(`reset ${stream.id} ${errorCodeName(code)} ${origin}`);
  }

  writable(stream: Stream): void {
    this.log.push(`writable ${stream.id}`);
    this.onWritable?.(stream);
  }

  goaway(lastStreamId: number, code: number, debug: Buffer): void {
    this.log.push(`goaway ${lastStreamId} ${errorCodeName(code)} ${debug.toString()}`.trim());
  }

  pong(id: number): void {
    this.log.push(`pong ${id}`);
  }

  settings(): void {
    this.log.push('settings');
  }

  drained(): void {
    this.log.push('drained');
  }

  output(): void {
    this.outputSignals++;
  }

  closed(reason: CloseReason): void {
    this.closeReason = reason;
    this.log.push(`closed ${errorCodeName(reason.code)} ${reason.origin}`);
  }
}
