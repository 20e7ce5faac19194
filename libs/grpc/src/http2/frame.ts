import { Buffer } from 'node:buffer';

/** Frame types (RFC 9113 section 6). */
export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

/** Frame flags; ACK (SETTINGS, PING) and END_STREAM (DATA, HEADERS) share a bit. */
export const Flag = {
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Octets of a frame header: length (24 bits), type (8), flags (8), stream identifier (31, with one reserved bit). */
export const FRAME_HEADER_BYTES = 9;

/** What a client sends first (RFC 9113 section 3.4). */
export const CLIENT_PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Windows and stream identifiers are at most this (31 bits). */
export const UINT31_MAX = 0x7fffffff;

/** Window of a connection, and of a stream before any SETTINGS (RFC 9113 section 6.9.2). */
export const DEFAULT_WINDOW = 65_535;

/** Frame size that every peer must take (RFC 9113 section 4.2). */
export const DEFAULT_FRAME_SIZE = 16_384;
