import { assert } from '../platform/assert.js';
import { type SharedEvent } from './shared-event.js';
import { type Slab, type SlabPool } from './slab.js';
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
 * and events that all watchers share. Responses of one stream are gathered into one chunk. Chunks are lent to the sink,
 * which may keep them: a slab is not written again before all of its chunks came back.
 *
 * Invariant: the chunk of the current stream is `slab.bytes[slab.start, slab.at)` and holds `messages` whole messages.
 */
export class ResponseWriter {
  private slab: Slab;
  private messages = 0;
  private stream: WatchStream | undefined = undefined;
  /** The stream gets one response only, which may be the same as that of the stream before. */
  private isSingle = false;
  private readonly shared = new SharedResponse();

  /** @param fragmentBytes Responses that ask for it are split at this size. */
  constructor(
    private readonly fragmentBytes: number,
    private readonly slabs: SlabPool,
  ) {
    this.slab = slabs.take(0);
  }

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
      const { slab } = this;
      shared.replace(header, event, watcher.idField, slab);
      slab.start = slab.at;
      this.messages = 0;
    }
    stream.take(stream.takesFrames ? shared.framed : shared.plain, 1, shared.lend());
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
    const { bytes } = slab;
    const { matched, prevKv, idField } = watcher;
    let { at } = slab;
    const end = at + GRPC_PREFIX_BYTES + size;
    bytes[at] = 0;
    bytes[at + 1] = size >>> 24;
    bytes[at + 2] = (size >>> 16) & 0xff;
    bytes[at + 3] = (size >>> 8) & 0xff;
    bytes[at + 4] = size & 0xff;
    at += GRPC_PREFIX_BYTES;
    bytes.set(header, at);
    at += header.length;
    for (let index = 0; index < idField.length; index++) bytes[at++] = idField[index];
    if (isFragment) {
      bytes[at++] = TAG_FRAGMENT;
      bytes[at++] = 1;
    }
    for (let index = from; index < to; index++) {
      const event = bytesOf(matched[index], prevKv);
      bytes.set(event, at);
      at += event.length;
    }
    assert(at === end, 'a message is as long as was said');
    slab.at = at;
    this.messages++;
    const stream = this.stream;
    assert(stream !== undefined, 'a message is written for a stream');
    if (!isKept && (at - slab.start >= CHUNK_BYTES || !stream.takesFrames)) this.handOver();
  }

  private reserve(bytes: number): void {
    if (this.slab.room >= bytes) return;
    this.handOver();
    this.slab = this.slabs.take(bytes);
  }

  private handOver(): void {
    const { stream, messages, slab } = this;
    if (messages === 0 || stream === undefined) return;
    const { bytes, start, at } = slab;
    slab.start = at;
    this.messages = 0;
    assert(stream.takesFrames || messages === 1, 'a sink without frames takes one message at a time');
    const chunk = bytes.subarray(stream.takesFrames ? start : start + GRPC_PREFIX_BYTES, at);
    stream.take(chunk, messages, slab.lend());
  }
}

/** The last response that was written for a stream on its own, and what it was made of. Its bytes are on loan here. */
class SharedResponse {
  header: Uint8Array | undefined = undefined;
  event: Uint8Array | undefined = undefined;
  idField: Uint8Array | undefined = undefined;
  framed: Uint8Array = new Uint8Array(0);
  plain: Uint8Array = new Uint8Array(0);
  private slab: Slab | undefined = undefined;

  /** Keeps what the slab's chunk holds. */
  replace(header: Uint8Array, event: Uint8Array, idField: Uint8Array, slab: Slab): void {
    this.slab?.returned();
    this.slab = slab.lend();
    this.header = header;
    this.event = event;
    this.idField = idField;
    this.framed = slab.bytes.subarray(slab.start, slab.at);
    this.plain = this.framed.subarray(GRPC_PREFIX_BYTES);
  }

  /** The same bytes for one more stream. */
  lend(): Slab {
    assert(this.slab !== undefined, 'there is a response');
    return this.slab.lend();
  }
}

function bytesOf(event: SharedEvent, prevKv: boolean): Uint8Array {
  return prevKv && event.withPrevious !== undefined ? event.withPrevious : event.plain;
}
