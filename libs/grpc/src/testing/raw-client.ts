import { Buffer } from 'node:buffer';
import { HpackDecoder } from '../hpack/decoder.js';
import { type Pipe, type PipeHandler } from '../transport/pipe.js';

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Fields of HEADERS, names and values in turn. The test server sends no CONTINUATION. */
  readonly fields: readonly string[];
}

export const FrameKind = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** One HTTP/2 frame by hand, so that tests can send what no proper client would. */
export function rawFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const frame = Buffer.alloc(9 + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(streamId, 5);
  frame.set(payload, 9);
  return frame;
}

/** A header block of literal fields without indexing, names and values in turn. */
export function rawHeaderBlock(...fields: string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([0]), rawString(fields[i] ?? ''), rawString(fields[i + 1] ?? ''));
  }
  return Buffer.concat(parts);
}

function rawString(value: string): Buffer {
  if (value.length > 126) throw new RangeError('rawHeaderBlock takes short strings only');
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
}

/** The headers of a gRPC request, with further fields behind. */
export function rawRequestBlock(path: string, ...fields: string[]): Buffer {
  const request = [':method', 'POST', ':scheme', 'http', ':path', path, ':authority', 't', 'te', 'trailers'];
  return rawHeaderBlock(...request, 'content-type', 'application/grpc', ...fields);
}

/** One end of a pipe whose frames a test sends and reads by hand: a client's, or a server's that expects the preface. */
export class RawClient implements PipeHandler {
  readonly frames: RawFrame[] = [];
  isEnded = false;
  isClosed = false;
  #bytes = Buffer.alloc(0);
  #prefaceOctets: number;
  readonly #decoder = new HpackDecoder({
    tableSizeMax: 4_096,
    headerListBytesMax: 65_536,
    stringBytesMax: 65_536,
  });

  constructor(
    readonly pipe: Pipe,
    expectsPreface = false,
  ) {
    this.#prefaceOctets = expectsPreface ? preface.length : 0;
    pipe.handler = this;
  }

  send(...bytes: Uint8Array[]): void {
    this.pipe.write(bytes);
  }

  /** HEADERS with literal fields. */
  sendHeaders(streamId: number, endStream: boolean, ...fields: string[]): void {
    this.send(rawFrame(FrameKind.HEADERS, endStream ? 5 : 4, streamId, rawHeaderBlock(...fields)));
  }

  /** Code and debug text of the GOAWAY that arrived last. */
  get goaway(): { readonly code: number; readonly text: string } | undefined {
    const frame = this.frames.findLast(({ type }) => type === FrameKind.GOAWAY);
    return frame && { code: frame.payload.readUInt32BE(4), text: frame.payload.subarray(8).toString() };
  }

  /** All header and trailer fields that arrived on a stream, as `name: value`. */
  fieldsOn(streamId: number): string[] {
    const fields = this.frames
      .filter((frame) => frame.streamId === streamId)
      .flatMap((frame) => frame.fields);
    return fields.flatMap((text, i) => (i % 2 === 0 ? [`${text}: ${fields[i + 1]}`] : []));
  }

  /** Whether END_STREAM arrived on a stream. */
  hasEnded(streamId: number): boolean {
    return this.frames.some(
      ({ type, flags, streamId: id }) =>
        id === streamId && (type === FrameKind.DATA || type === FrameKind.HEADERS) && (flags & 1) !== 0,
    );
  }

  /** Error codes of the RST_STREAM frames that arrived, by stream. */
  get resets(): Map<number, number> {
    const resets = this.frames.filter(({ type }) => type === FrameKind.RST_STREAM);
    return new Map(resets.map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]));
  }

  onOpen(): void {}

  onBytes(chunk: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length < this.#prefaceOctets) return;
    this.#bytes = this.#bytes.subarray(this.#prefaceOctets);
    this.#prefaceOctets = 0;
    while (this.#bytes.length >= 9) {
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) return;
      const frame = this.#bytes.subarray(0, 9 + length);
      this.#bytes = this.#bytes.subarray(9 + length);
      const type = frame[3] ?? 0;
      const payload = Buffer.from(frame.subarray(9));
      this.frames.push({
        type,
        flags: frame[4] ?? 0,
        streamId: frame.readUInt32BE(5) & 0x7fff_ffff,
        payload,
        fields: type === FrameKind.HEADERS ? this.#decoder.decode(payload, 0, payload.length) : [],
      });
    }
  }

  onDrain(): void {}

  onEnd(): void {
    this.isEnded = true;
    this.pipe.end();
  }

  onClose(): void {
    this.isClosed = true;
  }
}
