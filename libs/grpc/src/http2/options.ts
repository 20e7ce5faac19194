import { DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, UINT31_MAX } from './frame.js';

/**
 * Limits and sizes of one HTTP/2 connection. Every field is optional; the defaults suit a server that faces untrusted
 * peers. "Interval" below is `rateIntervalMs`.
 */
export interface ConnectionOptions {
  /** SETTINGS_INITIAL_WINDOW_SIZE that we announce, octets per stream. Default 1 MiB. */
  readonly initialWindowSize?: number;
  /** Receive window of the whole connection, octets, at least 65,535. Default 4 MiB. */
  readonly connectionWindowSize?: number;
  /** SETTINGS_MAX_FRAME_SIZE that we announce, octets, 16,384 to 16,777,215. Default 16,384. */
  readonly maxFrameSize?: number;
  /** SETTINGS_HEADER_TABLE_SIZE that we announce (our decoder), octets, at most 65,536. Default 4,096. */
  readonly headerTableSize?: number;
  /** Largest dynamic table of our encoder, octets, whatever the peer allows. Default 4,096. */
  readonly encoderTableSize?: number;
  /** Streams that the peer may have open at once; more are refused. Servers only. Default 4,096. */
  readonly maxConcurrentStreams?: number;

  /** Largest header list (RFC 9113 section 6.5.2: names + values + 32 per field), octets. Default 16 KiB. */
  readonly maxHeaderListBytes?: number;
  /** Largest compressed header block over HEADERS and CONTINUATION, octets. Default 64 KiB. */
  readonly maxHeaderBlockBytes?: number;
  /** CONTINUATION frames of one header block. Default 16. */
  readonly maxContinuationFrames?: number;

  /** `sendData` returns false while a stream has this many octets queued. Default 256 KiB. */
  readonly streamQueueMark?: number;
  /** Octets queued by all streams of the connection; a stream that would exceed it is reset, unless nothing
   * else is queued (so that one huge message passes). Default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** `takeOutput` moves queued DATA only up to this many octets of output at once. Default 256 KiB. */
  readonly outputTarget?: number;
  /** Octets of acknowledgements, resets and window updates waiting for `takeOutput`. Default 64 KiB. */
  readonly maxControlOutput?: number;

  /** The interval of all rates below, milliseconds. Default 10,000. */
  readonly rateIntervalMs?: number;
  /** RST_STREAM frames per interval from the peer (rapid reset). Default 2,000. */
  readonly maxPeerResets?: number;
  /** Stream errors and refusals per interval that the peer makes us answer with RST_STREAM. Default 1,000. */
  readonly maxLocalResets?: number;
  /** PING frames per interval, counted anew whenever we send HEADERS or DATA. Default 1,000. */
  readonly maxPings?: number;
  /** SETTINGS frames per interval. Default 100. */
  readonly maxSettings?: number;
  /** Frames per interval that carry nothing: DATA without octets or END_STREAM, interim responses. Default 1,000. */
  readonly maxEmptyFrames?: number;
  /** WINDOW_UPDATE frames per interval beyond two for every HEADERS or DATA frame that we sent. Default 2,000. */
  readonly maxWindowUpdates?: number;
  /** PRIORITY frames, frames of unknown types and unasked PING acknowledgements per interval. Default 1,000. */
  readonly maxIgnoredFrames?: number;

  /** Least time between two PING frames of the peer, milliseconds; 0 turns ping strikes off. Default 0. */
  readonly minPingIntervalMs?: number;
  /** Whether `minPingIntervalMs` suffices without open streams; if not, two hours must pass. Default true. */
  readonly permitPingWithoutStreams?: boolean;
  /** Pings too early that are forgiven since we last sent HEADERS or DATA. Default 2. */
  readonly maxPingStrikes?: number;
}

/** Options with every default filled in. */
export type ResolvedOptions = Required<ConnectionOptions>;

const DEFAULTS: ResolvedOptions = {
  initialWindowSize: 1024 * 1024,
  connectionWindowSize: 4 * 1024 * 1024,
  maxFrameSize: DEFAULT_FRAME_SIZE,
  headerTableSize: 4096,
  encoderTableSize: 4096,
  maxConcurrentStreams: 4096,
  maxHeaderListBytes: 16 * 1024,
  maxHeaderBlockBytes: 64 * 1024,
  maxContinuationFrames: 16,
  streamQueueMark: 256 * 1024,
  maxQueuedBytes: 64 * 1024 * 1024,
  outputTarget: 256 * 1024,
  maxControlOutput: 64 * 1024,
  rateIntervalMs: 10_000,
  maxPeerResets: 2_000,
  maxLocalResets: 1_000,
  maxPings: 1_000,
  maxSettings: 100,
  maxEmptyFrames: 1_000,
  maxWindowUpdates: 2_000,
  maxIgnoredFrames: 1_000,
  minPingIntervalMs: 0,
  permitPingWithoutStreams: true,
  maxPingStrikes: 2,
};

/** Smallest and largest value of the options that have limits beyond "a safe integer, at least 0". */
const LIMITS: Readonly<Partial<Record<keyof ConnectionOptions, readonly [min: number, max: number]>>> = {
  initialWindowSize: [1, UINT31_MAX],
  connectionWindowSize: [DEFAULT_WINDOW, UINT31_MAX],
  maxFrameSize: [DEFAULT_FRAME_SIZE, 0xffffff],
  headerTableSize: [0, 65_536],
  encoderTableSize: [0, 65_536],
  maxConcurrentStreams: [1, UINT31_MAX],
  maxHeaderListBytes: [1024, 0xffffff],
  maxHeaderBlockBytes: [1024, 0xffffff],
  streamQueueMark: [1, Number.MAX_SAFE_INTEGER],
  maxQueuedBytes: [1, Number.MAX_SAFE_INTEGER],
  outputTarget: [1, Number.MAX_SAFE_INTEGER],
  maxControlOutput: [1024, Number.MAX_SAFE_INTEGER],
  rateIntervalMs: [1, Number.MAX_SAFE_INTEGER],
};

/**
 * Fills in the defaults and checks the values.
 *
 * @throws RangeError that names every option that is out of range, its value and its limits.
 */
export function resolveOptions(options: ConnectionOptions): ResolvedOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: ResolvedOptions = { ...DEFAULTS, ...given };
  const problems: string[] = [];
  for (const [name, value] of Object.entries(resolved)) {
    if (typeof value === 'boolean') continue;
    const [min, max] = LIMITS[name as keyof ConnectionOptions] ?? [0, Number.MAX_SAFE_INTEGER];
    if (Number.isSafeInteger(value) && value >= min && value <= max) continue;
    problems.push(`${name} is ${String(value)}, it must be an integer from ${min} to ${max}`);
  }
  if (problems.length > 0) throw new RangeError(`wrong HTTP/2 options: ${problems.join('; ')}`);
  return resolved;
}
