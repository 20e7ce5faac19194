/**
 * What the caller's thread and the log thread of a `NodeDisk` share: one block of control words. The caller fills in a request
 * and raises `request`; the log thread serves it, fills in the outcome and raises `reply`. Each side waits for the
 * word of the other to change, and Atomics order everything before it, so a request and its outcome are seen whole.
 *
 * Invariant: `reply <= request <= reply + 1`: at most one request is in flight.
 */
export const Word = {
  request: 0,
  reply: 1,
  command: 2,
  fd: 3,
  buffer: 4,
  length: 5,
  /** Which step failed: 0 none, 1 the write, 2 the sync. */
  failed: 6,
  /** The negative errno of the failure. */
  errno: 7,
  /** 1 while the thread is to wait awake for the request after this one, for a moment. Written before the request. */
  stayAwake: 8,
} as const;

/** Doubles behind the words: where to write; how long it took; where it failed. */
export const Double = { offset: 0, writeMs: 1, syncMs: 2, failedAt: 3 } as const;

export const Command = { write: 1, writeAndSync: 2, close: 3 } as const;

/**
 * A write that comes within so many milliseconds of the one before is taken for one of a row: its reply is polled for at most
 * so long, and the thread stays awake so long for the next. A lock that is taken and given back has its writes about half a
 * millisecond apart.
 */
export const followsWithinMs = 0.9;

/** Even, because doubles follow. */
const wordCount = 10;
const doubleCount = 4;

export interface Channel {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

export function createChannel(): Channel {
  return channelOn(new SharedArrayBuffer(wordCount * 4 + doubleCount * 8));
}

export function channelOn(memory: SharedArrayBuffer): Channel {
  const words = new Int32Array(memory, 0, wordCount);
  return { memory, words, doubles: new Float64Array(memory, wordCount * 4, doubleCount) };
}

/** Sent to the log thread before the request that uses the buffer; without `memory` the buffer is forgotten. */
export interface BufferMessage {
  readonly buffer: number;
  readonly memory: SharedArrayBuffer | undefined;
}
