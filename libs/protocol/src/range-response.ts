import { type KeyValue } from './generated/kv.js';
import { type RangeResponse, type RangeStreamResponse, ResponseHeader } from './generated/rpc.js';
import { MalformedMessageError, WireReader } from './wire-reader.js';

/** Keys and values that are kept keep at most about so many bytes of their message. */
const segmentBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/**
 * Reads what the generated decoder reads, with two objects less than three per entry instead of a dozen: the first list of a
 * watch, and every get, waits for it. Keys and values are views of copies of a few entries each, so what is kept of a
 * large answer does not keep all of it.
 */
class RangeResponseReader extends WireReader {
  private message: Buffer = nothing;
  /** Of the segment that is being read: where it stands in the message. */
  private segmentStart = 0;
  private segment: Buffer = nothing;

  /** @throws MalformedMessageError */
  read(bytes: Uint8Array): RangeResponse {
    this.point(bytes, 0);
    this.message = this.bytes;
    this.segment = nothing;
    this.segmentStart = 0;
    const response: RangeResponse = { header: undefined, kvs: [], more: false, count: 0n };
    while (this.position < this.bytes.length) this.readField(response);
    this.message = this.segment = nothing;
    this.point(nothing, 0);
    return response;
  }

  /** @throws MalformedMessageError */
  readPiece(bytes: Uint8Array): RangeStreamResponse {
    this.point(bytes, 0);
    let piece: Buffer | undefined;
    while (this.position < this.bytes.length) {
      const tag = this.varint();
      if (tag === 0x0a) piece = this.view();
      else this.skip(tag);
    }
    return { range_response: piece === undefined ? undefined : this.read(piece) };
  }

  private readField(response: RangeResponse): void {
    const tag = this.varint();
    switch (tag) {
      case 0x0a:
        response.header = ResponseHeader.decode(this.view());
        return;
      case 0x12:
        response.kvs.push(this.entry());
        return;
      case 0x18:
        response.more = this.bool();
        return;
      case 0x20:
        response.count = this.int64();
        return;
      default:
        this.skip(tag);
    }
  }

  private view(): Buffer {
    const length = this.varint();
    const start = this.position;
    this.advance(length);
    return this.bytes.subarray(start, this.position);
  }

  /** Reads an entry in a copy of it and some that follow. */
  private entry(): KeyValue {
    const length = this.varint();
    const start = this.position;
    this.advance(length);
    const end = this.position;
    if (end > this.segmentStart + this.segment.length) {
      this.segmentStart = start;
      this.segment = Buffer.from(this.message.subarray(start, Math.max(end, start + segmentBytes)));
    }
    this.bytes = this.segment;
    this.position = start - this.segmentStart;
    const kv = this.keyValue(end - this.segmentStart);
    this.bytes = this.message;
    this.position = end;
    return kv;
  }

  private keyValue(end: number): KeyValue {
    const kv: KeyValue = {
      key: nothing,
      create_revision: 0n,
      mod_revision: 0n,
      version: 0n,
      value: nothing,
      lease: 0n,
    };
    while (this.position < end) this.readKeyValueField(kv);
    if (this.position > end) throw new MalformedMessageError('a field ends behind its entry');
    return kv;
  }

  private readKeyValueField(kv: KeyValue): void {
    const tag = this.varint();
    switch (tag) {
      case 0x0a:
        kv.key = this.view();
        return;
      case 0x10:
        kv.create_revision = this.int64();
        return;
      case 0x18:
        kv.mod_revision = this.int64();
        return;
      case 0x20:
        kv.version = this.int64();
        return;
      case 0x2a:
        kv.value = this.view();
        return;
      case 0x30:
        kv.lease = this.int64();
        return;
      default:
        this.skip(tag);
    }
  }
}

const reader = new RangeResponseReader();

/** An etcdserverpb.RangeResponse. @throws MalformedMessageError */
export function decodeRangeResponse(bytes: Uint8Array): RangeResponse {
  return reader.read(bytes);
}

/** An etcdserverpb.RangeStreamResponse. @throws MalformedMessageError */
export function decodeRangeStreamResponse(bytes: Uint8Array): RangeStreamResponse {
  return reader.readPiece(bytes);
}
