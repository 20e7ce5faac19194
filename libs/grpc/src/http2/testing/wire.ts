import { Buffer } from 'node:buffer';
import { PreparedHeaders } from '../../hpack/prepared-headers.js';
import { errorCodeName } from '../error-code.js';
import { FrameType } from '../frame.js';

/** Octets of frames for tests, built by hand so that they may be wrong, and read back for comparison. */

const TYPE_NAMES = new Map<number, string>(Object.entries(FrameType).map(([name, type]) => [type, name]));

/** One frame with any content. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** Numbers of 32 bits, one behind the other. */
export function words(...values: number[]): Buffer {
  const octets = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => octets.writeUInt32BE(value, i * 4));
  return octets;
}

export function settings(...entries: [id: number, value: number][]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export const SETTINGS_ACK = frame(FrameType.SETTINGS, 1, 0);

/** A header block that uses no dynamic table. */
export function block(...fields: string[]): Buffer {
  return new PreparedHeaders(fields).bytes;
}

export const REQUEST_FIELDS = [
  ':method',
  'POST',
  ':scheme',
  'http',
  ':path',
  '/service/Method',
  'te',
  'trailers',
];
export const REQUEST = block(...REQUEST_FIELDS);
export const RESPONSE = block(':status', '200', 'content-type', 'application/grpc');
export const TRAILERS = block('grpc-status', '0');

export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

export function headers(streamId: number, octets: Uint8Array = REQUEST, flags = END_HEADERS): Buffer {
  return frame(FrameType.HEADERS, flags, streamId, octets);
}

export function data(streamId: number, octets: Uint8Array | string, flags = 0): Buffer {
  return frame(FrameType.DATA, flags, streamId, Buffer.from(octets));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, words(increment));
}

export function rstStream(streamId: number, code: number): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, words(code));
}

export function ping(flags = 0, payload: Uint8Array = Buffer.from('12345678')): Buffer {
  return frame(FrameType.PING, flags, 0, payload);
}

export function goaway(lastStreamId: number, code: number, debug = ''): Buffer {
  return frame(FrameType.GOAWAY, 0, 0, Buffer.concat([words(lastStreamId, code), Buffer.from(debug)]));
}

export interface WireFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Cuts whole frames apart. */
export function parseFrames(octets: Buffer): WireFrame[] {
  const frames: WireFrame[] = [];
  for (let position = 0; position < octets.length;) {
    const length = octets.readUIntBE(position, 3);
    const payload = octets.subarray(position + 9, position + 9 + length);
    if (payload.length !== length) throw new Error('output ends inside of a frame');
    frames.push({
      type: octets[position + 3],
      flags: octets[position + 4],
      streamId: octets.readUInt32BE(position + 5),
      payload,
    });
    position += 9 + length;
  }
  return frames;
}

/** A frame in words, for example `RST_STREAM 1 CANCEL`, `DATA 3 "abc" END`, `GOAWAY 0 PROTOCOL_ERROR`. */
export function describeFrame({ type, flags, streamId, payload }: WireFrame): string {
  const name = TYPE_NAMES.get(type) ?? `type ${type}`;
  const end = (flags & END_STREAM) !== 0 ? ' END' : '';
  switch (type) {
    case FrameType.DATA:
      return `${name} ${streamId} ${payload.length > 40 ? payload.length : JSON.stringify(payload.toString('latin1'))}${end}`;
    case FrameType.HEADERS:
      return `${name} ${streamId}${end}`;
    case FrameType.RST_STREAM:
      return `${name} ${streamId} ${errorCodeName(payload.readUInt32BE(0))}`;
    case FrameType.GOAWAY:
      return `${name} ${payload.readUInt32BE(0)} ${errorCodeName(payload.readUInt32BE(4))}`;
    case FrameType.WINDOW_UPDATE:
      return `${name} ${streamId} ${payload.readUInt32BE(0)}`;
    case FrameType.SETTINGS:
    case FrameType.PING:
      return flags === 1 ? `${name} ACK` : name;
    default:
      return `${name} ${streamId}`;
  }
}
