import { assert } from '../platform/assert.js';
import { type SharedEvent } from './shared-event.js';
import { type WatchStream } from './watch-stream.js';
import { type Watcher } from './watcher.js';

/** gRPC's message prefix: a byte that says whether the message is compressed, and its length as u32. */
export const GRPC_PREFIX_BYTES = 5;

/** What was gathered for a stream is handed over when it reaches this size. */
const CHUNK_BYTES = 64 * 1024;
const TAG_FRAGMENT = 0x38;
const FRAGMENT_BYTES = 2;

/**
 * Assembles responses with events by copying bytes: the header that all responses of a revision share, the watch id,
 * and events that all watchers share. Responses of one stream are gathered into one chunk. Chunks are cut from slabs
 * that are never written twice, so the sink may keep them.
 *
 * Invariant: the chunk of the current stream is `slab[start, at)` and holds `messages` whole messages.
 */
export class ResponseWriter {
  private slab = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  private start = 0;
  private at = 0;
  private messages = 0;
  private stream: WatchStream | undefined = undefined;
  /** The stream gets one response only, which may be the same as that of the stream before. */
  private isSingle = false;
  private readonly shared = new SharedResponse();

  /** @param fragmentBytes Responses that ask for it are split at this size. */
  constructor(private readonly fragmentBytes: number) {}

  /** What is written from now on, for `watchers` watchers, goes to `stream`; `flush` ends that. */
  begin(stream: WatchStream, watchers: number): void {
    assert(this.stream === undefined, 'the chunk of the stream before was flushed');
    this.stream = stream;
    this.isSingle = watchers === 1;
  }

  /**
   * Writes the first `count` events of a watcher as one response, or as several fragments if that is allowed and
   * needed. All of it is sent even when the stream asks to hold back meanwhile: a revision is never sent in part.
   */
  write(header: Uint8Array, watcher: Watcher, count: number): void {
    const { matched, prevKv } = watcher;
    if (this.isSingle && count === 1) {
      this.writeSingle(header, watcher, bytesOf(matched[0], prevKv));
      return;
    }
    let size = header.length + watcher.idField.length;
    for (let event = 0; event < count; event++) size += bytesOf(matched[event], prevKv).length;
    if (watcher.fragment && count > 1 && size >= this.fragmentBytes)
      this.writeFragments(header, watcher, count);
    else this.message(header, watcher, 0, count, size, false);
  }

  /** Hands over what was gathered for the stream, and ends its turn. */
  flush(): void {
    this.handOver();
    this.stream = undefined;
  }

  /** Many streams with one watch each, of the same id, get the very same bytes. */
  private writeSingle(header: Uint8Array, watcher: Watcher, event: Uint8Array): void {
    const { shared, stream } = this;
    assert(stream !== undefined, 'a message is written for a stream');
    if (shared.header !== header || shared.event !== event || shared.idField !== watcher.idField) {
      this.message(header, watcher, 0, 1, header.length + watcher.idField.length + event.length, false, true);
      shared.header = header;
      shared.event = event;
      shared.idField = watcher.idField;
      shared.framed = this.slab.subarray(this.start, this.at);
      shared.plain = shared.framed.subarray(GRPC_PREFIX_BYTES);
      this.start = this.at;
      this.messages = 0;
    }
    stream.take(stream.takesFrames ? shared.framed : shared.plain, 1);
  }

  private writeFragments(header: Uint8Array, watcher: Watcher, count: number): void {
    const { matched, prevKv } = watcher;
    const frame = header.length + watcher.idField.length + FRAGMENT_BYTES;
    let from = 0;
    while (from < count) {
      let size = frame + bytesOf(matched[from], prevKv).length;
      let to = from + 1;
      while (to < count) {
        const grown = size + bytesOf(matched[to], prevKv).length;
        if (grown >= this.fragmentBytes) break;
        size = grown;
        to++;
      }
      const isLast = to === count;
      this.message(header, watcher, from, to, isLast ? size - FRAGMENT_BYTES : size, !isLast);
      from = to;
    }
  }

  private message(
    header: Uint8Array,
    watcher: Watcher,
    from: number,
    to: number,
    size: number,
    isFragment: boolean,
    isKept = false,
  ): void {
    this.reserve(GRPC_PREFIX_BYTES + size);
    const { slab } = this;
    const { matched, prevKv, idField } = watcher;
    let { at } = this;
    const end = at + GRPC_PREFIX_BYTES + size;
    slab[at] = 0;
    slab[at + 1] = size >>> 24;
    slab[at + 2] = (size >>> 16) & 0xff;
    slab[at + 3] = (size >>> 8) & 0xff;
    slab[at + 4] = size & 0xff;
    at += GRPC_PREFIX_BYTES;
    slab.set(header, at);
    at += header.length;
    for (let index = 0; index < idField.length; index++) slab[at++] = idField[index];
    if (isFragment) {
      slab[at++] = TAG_FRAGMENT;
      slab[at++] = 1;
    }
    for (let event = from; event < to; event++) {
      const bytes = bytesOf(matched[event], prevKv);
      slab.set(bytes, at);
      at += bytes.length;
    }
    assert(at === end, 'a message is as long as was said');
    this.at = at;
    this.messages++;
    const stream = this.stream;
    assert(stream !== undefined, 'a message is written for a stream');
    if (!isKept && (at - this.start >= CHUNK_BYTES || !stream.takesFrames)) this.handOver();
  }

  private reserve(bytes: number): void {
    if (this.slab.length - this.at >= bytes) return;
    this.handOver();
    this.slab = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes));
    this.start = 0;
    this.at = 0;
  }

  private handOver(): void {
    const { stream, messages, start, at } = this;
    if (messages === 0 || stream === undefined) return;
    this.start = at;
    this.messages = 0;
    assert(stream.takesFrames || messages === 1, 'a sink without frames takes one message at a time');
    stream.take(this.slab.subarray(stream.takesFrames ? start : start + GRPC_PREFIX_BYTES, at), messages);
  }
}

/** The last response that was written for a stream on its own, and what it was made of. */
class SharedResponse {
  header: Uint8Array | undefined = undefined;
  event: Uint8Array | undefined = undefined;
  idField: Uint8Array | undefined = undefined;
  framed: Uint8Array = new Uint8Array(0);
  plain: Uint8Array = new Uint8Array(0);
}

function bytesOf(event: SharedEvent, prevKv: boolean): Uint8Array {
  return prevKv && event.withPrevious !== undefined ? event.withPrevious : event.plain;
}
