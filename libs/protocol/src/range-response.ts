import { type Buffer } from 'node:buffer';
import { EntryReader } from './entry-reader.js';
import { type RangeResponse, type RangeStreamResponse } from './generated/rpc.js';

class RangeResponseReader extends EntryReader {
  read(bytes: Uint8Array): RangeResponse {
    this.begin(bytes);
    const response: RangeResponse = { header: undefined, kvs: [], more: false, count: 0n };
    while (!this.isAtEnd) this.field(response);
    this.finish();
    return response;
  }

  readPiece(bytes: Uint8Array): RangeStreamResponse {
    this.begin(bytes);
    let piece: Buffer | undefined;
    while (!this.isAtEnd) {
      const tag = this.varint();
      if (tag === 0x0a) piece = this.view();
      else this.skip(tag);
    }
    this.finish();
    return { range_response: piece === undefined ? undefined : this.read(piece) };
  }

  private field(response: RangeResponse): void {
    const tag = this.varint();
    switch (tag) {
      case 0x0a:
        response.header = this.header();
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
}

const reader = new RangeResponseReader();

/** An etcdserverpb.RangeResponse, as the generated decoder reads it. @throws MalformedMessageError */
export function decodeRangeResponse(bytes: Uint8Array): RangeResponse {
  return reader.read(bytes);
}

/** An etcdserverpb.RangeStreamResponse, as the generated decoder reads it. @throws MalformedMessageError */
export function decodeRangeStreamResponse(bytes: Uint8Array): RangeStreamResponse {
  return reader.readPiece(bytes);
}
