import { varintSize, writeVarint } from '../mvcc/varint.js';
import { type RowArena } from '../mvcc/row-arena.js';

const TAG_EVENTS = 0x5a;
const TAG_TYPE = 0x08;
const TYPE_DELETE = 1;
const TAG_KV = 0x12;
const TAG_PREV_KV = 0x1a;
const TAG_MOD_REVISION = 0x18;

/**
 * One change as all watchers get it: the field `WatchResponse.events`, tag and length included, encoded once and copied
 * into every response.
 *
 *     key "a" deleted at revision 3:   5a 09 | 08 01 | 12 05 | 0a 01 61 18 03
 *                                      events  type    kv      key, mod_revision
 */
export class SharedEvent {
  /** With the previous KeyValue; undefined until a watcher wants it. The same as `plain` when there is none. */
  withPrevious: Uint8Array | undefined = undefined;
  wantsPrevious = false;

  constructor(
    readonly main: number,
    readonly created: boolean,
    readonly prevMain: number,
    readonly prevSub: number,
    /** Without the previous KeyValue. */
    readonly plain: Uint8Array,
  ) {}
}

/** Encodes an event, without a previous KeyValue. A stored tombstone lacks its mod_revision: it is added here. */
export function encodeEvent(
  arena: RowArena,
  main: number,
  tombstone: boolean,
  source: Uint8Array,
  start: number,
  end: number,
): Uint8Array {
  const modBytes = tombstone ? 1 + varintSize(main) : 0;
  const kvBytes = end - start + modBytes;
  const bodyBytes = (tombstone ? 2 : 0) + 1 + varintSize(kvBytes) + kvBytes;
  const total = 1 + varintSize(bodyBytes) + bodyBytes;
  arena.reserve(total);
  const { buffer, at: first } = arena;
  let at = first;
  buffer[at++] = TAG_EVENTS;
  at = writeVarint(buffer, at, bodyBytes);
  if (tombstone) {
    buffer[at++] = TAG_TYPE;
    buffer[at++] = TYPE_DELETE;
  }
  buffer[at++] = TAG_KV;
  at = writeVarint(buffer, at, kvBytes);
  buffer.set(source.subarray(start, end), at);
  at += end - start;
  if (tombstone) {
    buffer[at++] = TAG_MOD_REVISION;
    at = writeVarint(buffer, at, main);
  }
  arena.at = at;
  return buffer.subarray(first, at);
}

/** The event with a previous KeyValue added. */
export function encodeWithPrevious(
  arena: RowArena,
  plain: Uint8Array,
  source: Uint8Array,
  start: number,
  end: number,
): Uint8Array {
  const bodyAt = bodyStart(plain);
  const plainBytes = plain.length - bodyAt;
  const bodyBytes = plainBytes + 1 + varintSize(end - start) + (end - start);
  arena.reserve(1 + varintSize(bodyBytes) + bodyBytes);
  const { buffer, at: first } = arena;
  let at = first;
  buffer[at++] = TAG_EVENTS;
  at = writeVarint(buffer, at, bodyBytes);
  buffer.set(plain.subarray(bodyAt), at);
  at += plainBytes;
  buffer[at++] = TAG_PREV_KV;
  at = writeVarint(buffer, at, end - start);
  buffer.set(source.subarray(start, end), at);
  arena.at = at + (end - start);
  return buffer.subarray(first, arena.at);
}

/** Where the body of an encoded event starts: behind the tag and the length. */
function bodyStart(event: Uint8Array): number {
  let at = 1;
  while (event[at] >= 0x80) at++;
  return at + 1;
}
