import { Buffer } from 'node:buffer';
import { type KeyValue } from './generated/kv.js';
import { type ResponseHeader } from './generated/rpc.js';
import { MalformedMessageError, WireReader } from './wire-reader.js';

/** Keys and values that are kept keep at most about so many bytes of their message. */
const segmentBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/**
 * Reads the messages that carry entries with three objects per entry instead of a dozen: clients wait for them, and get them by the
 * thousand. Keys and values are views of copies of a few entries each, so what is kept of a large message does not keep all of it.
 *
 * Invariant: outside of `entry`, `bytes` is `message`.
 */
export abstract class EntryReader extends WireReader {
  private message: Buffer = nothing;
  /** A copy of a part of the message, and where it stands there. */
  private segment: Buffer = nothing;
  private segmentStart = 0;

  protected begin(bytes: Uint8Array): void {
    this.point(bytes, 0);
    this.message = this.bytes;
    this.segment = nothing;
    this.segmentStart = 0;
  }

  /** Lets go of the message. */
  protected finish(): void {
    this.begin(nothing);
  }

  protected get isAtEnd(): boolean {
    return this.position === this.bytes.length;
  }

  /** Reads the length of a field, and gives where that ends. */
  protected fieldEnd(): number {
    const length = this.varint();
    const start = this.position;
    this.advance(length);
    this.position = start;
    return start + length;
  }

  /** A view of the bytes of a field. */
  protected view(): Buffer {
    const end = this.fieldEnd();
    const view = this.bytes.subarray(this.position, end);
    this.position = end;
    return view;
  }

  /** To be called when the fields of an embedded message that ends there were read. */
  protected endAt(end: number): void {
    if (this.position !== end) throw new MalformedMessageError('a field ends behind its message');
  }

  protected header(): ResponseHeader {
    const end = this.fieldEnd();
    const header: ResponseHeader = { cluster_id: 0n, member_id: 0n, revision: 0n, raft_term: 0n };
    while (this.position < end) this.headerField(header);
    this.endAt(end);
    return header;
  }

  private headerField(header: ResponseHeader): void {
    const tag = this.varint();
    switch (tag) {
      case 0x08:
        header.cluster_id = this.uint64();
        return;
      case 0x10:
        header.member_id = this.uint64();
        return;
      case 0x18:
        header.revision = this.int64();
        return;
      case 0x20:
        header.raft_term = this.uint64();
        return;
      default:
        this.skip(tag);
    }
  }

  /** Reads an entry in a copy of it and of some that follow. */
  protected entry(): KeyValue {
    const end = this.fieldEnd();
    const { message, position: start } = this;
    if (end > this.segmentStart + this.segment.length) {
      this.segmentStart = start;
      this.segment = Buffer.from(message.subarray(start, Math.max(end, start + segmentBytes)));
    }
    this.bytes = this.segment;
    this.position = start - this.segmentStart;
    const kv = this.keyValue(end - this.segmentStart);
    this.bytes = message;
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
    while (this.position < end) this.keyValueField(kv);
    this.endAt(end);
    return kv;
  }

  private keyValueField(kv: KeyValue): void {
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
