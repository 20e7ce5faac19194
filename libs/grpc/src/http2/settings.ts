import { type Buffer } from 'node:buffer';
import { ErrorCode } from './error-code.js';
import { DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, UINT31_MAX } from './frame.js';

/** Identifiers of settings (RFC 9113 section 6.5.2). */
export const SettingId = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** The settings of the peer that are in force. */
export interface PeerSettings {
  readonly headerTableSize: number;
  /** Infinity while the peer sets no limit. */
  readonly maxConcurrentStreams: number;
  readonly initialWindowSize: number;
  readonly maxFrameSize: number;
  /** Advisory (RFC 9113 section 6.5.2); Infinity while the peer sets no limit. */
  readonly maxHeaderListSize: number;
}

/** What holds before the peer's first SETTINGS frame. */
export const INITIAL_PEER_SETTINGS: PeerSettings = {
  headerTableSize: 4096,
  maxConcurrentStreams: Infinity,
  initialWindowSize: DEFAULT_WINDOW,
  maxFrameSize: DEFAULT_FRAME_SIZE,
  maxHeaderListSize: Infinity,
};

/** A SETTINGS frame that breaks a rule: the connection ends with this error. */
export interface SettingsViolation {
  readonly code: number;
  readonly reason: string;
}

/**
 * The settings after the frame payload `buffer[start, end)`, whose length is a multiple of six, or what it violates.
 * Unknown identifiers are ignored.
 *
 * @param fromServer the sender is a server, which must not enable push.
 */
export function applySettings(
  current: PeerSettings,
  buffer: Buffer,
  start: number,
  end: number,
  fromServer: boolean,
): PeerSettings | SettingsViolation {
  const next = { ...current };
  for (let position = start; position < end; position += 6) {
    const id = buffer.readUInt16BE(position);
    const value = buffer.readUInt32BE(position + 2);
    if (id === SettingId.HEADER_TABLE_SIZE) next.headerTableSize = value;
    else if (id === SettingId.MAX_CONCURRENT_STREAMS) next.maxConcurrentStreams = value;
    else if (id === SettingId.MAX_HEADER_LIST_SIZE) next.maxHeaderListSize = value;
    else if (id === SettingId.ENABLE_PUSH) {
      if (value > (fromServer ? 0 : 1)) return protocolError(`ENABLE_PUSH ${value}`);
    } else if (id === SettingId.INITIAL_WINDOW_SIZE) {
      if (value > UINT31_MAX)
        return { code: ErrorCode.FLOW_CONTROL_ERROR, reason: `INITIAL_WINDOW_SIZE ${value}` };
      next.initialWindowSize = value;
    } else if (id === SettingId.MAX_FRAME_SIZE) {
      if (value < DEFAULT_FRAME_SIZE || value > 0xffffff) return protocolError(`MAX_FRAME_SIZE ${value}`);
      next.maxFrameSize = value;
    }
  }
  return next;
}

function protocolError(what: string): SettingsViolation {
  return { code: ErrorCode.PROTOCOL_ERROR, reason: `SETTINGS with ${what}` };
}
