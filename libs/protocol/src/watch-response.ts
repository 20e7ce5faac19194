import { EntryReader } from './entry-reader.js';
import { Event_EventType, type Event } from './generated/kv.js';
import { type WatchResponse } from './generated/rpc.js';

class WatchResponseReader extends EntryReader {
  read(bytes: Uint8Array): WatchResponse {
    this.begin(bytes);
    const response: WatchResponse = {
      header: undefined,
      watch_id: 0n,
      created: false,
      canceled: false,
      compact_revision: 0n,
      cancel_reason: '',
      fragment: false,
      events: [],
    };
    while (!this.isAtEnd) this.field(response);
    this.finish();
    return response;
  }

  private field(response: WatchResponse): void {
    const tag = this.varint();
    switch (tag) {
      case 0x0a:
        response.header = this.header();
        return;
      case 0x10:
        response.watch_id = this.int64();
        return;
      case 0x18:
        response.created = this.bool();
        return;
      case 0x20:
        response.canceled = this.bool();
        return;
      case 0x28:
        response.compact_revision = this.int64();
        return;
      case 0x32:
        response.cancel_reason = this.view().toString('utf8');
        return;
      case 0x38:
        response.fragment = this.bool();
        return;
      case 0x5a:
        response.events.push(this.event());
        return;
      default:
        this.skip(tag);
    }
  }

  private event(): Event {
    const end = this.fieldEnd();
    const event: Event = { type: Event_EventType.PUT, kv: undefined, prev_kv: undefined };
    while (this.position < end) this.eventField(event);
    this.endAt(end);
    return event;
  }

  private eventField(event: Event): void {
    const tag = this.varint();
    switch (tag) {
      case 0x08:
        event.type = Number(BigInt.asIntN(32, this.uint64())) as Event_EventType;
        return;
      case 0x12:
        event.kv = this.entry();
        return;
      case 0x1a:
        event.prev_kv = this.entry();
        return;
      default:
        this.skip(tag);
    }
  }
}

const reader = new WatchResponseReader();

/** An etcdserverpb.WatchResponse, as the generated decoder reads it. @throws MalformedMessageError */
export function decodeWatchResponse(bytes: Uint8Array): WatchResponse {
  return reader.read(bytes);
}
