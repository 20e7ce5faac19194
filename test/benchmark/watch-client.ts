import { type ClientStream, GrpcChannel } from '@conclave/grpc';
import { etcdserverpb } from '@conclave/protocol';

/**
 * One stream with many watches on one key. Messages are looked at just far enough to count events and to check, per
 * watch, that the mod revisions follow each other without a gap or a repetition.
 */
export class WatchClient {
  events = 0;
  /** Created watches. */
  created = 0;
  private readonly lastByWatch: number[] = [];
  private readonly channel: GrpcChannel;
  private readonly stream: ClientStream;
  private readonly reader = new EventReader();
  /** Called after each message. */
  onProgress: (() => void) | undefined;
  failure: Error | undefined;

  constructor(host: string, port: number) {
    this.channel = new GrpcChannel({ target: { host, port } });
    this.stream = this.channel.stream('/etcdserverpb.Watch/Watch');
    this.stream.onMessage = (message) => this.take(message);
    this.stream.onEnd = (error) => {
      if (error !== undefined) this.failure ??= error;
      this.onProgress?.();
    };
  }

  /** Creates `count` watches on the key, with ids 0 to count - 1, from `startRevision` on. */
  watch(key: Uint8Array, count: number, startRevision: number): void {
    for (let id = 0; id < count; id++) {
      this.lastByWatch[id] = startRevision - 1;
      const request = etcdserverpb.WatchRequest.fromPartial({
        request_union: {
          $case: 'create_request',
          value: { key: Buffer.from(key), start_revision: BigInt(startRevision) },
        },
      });
      this.stream.send(etcdserverpb.WatchRequest.encode(request).finish());
    }
  }

  async close(): Promise<void> {
    this.stream.cancel();
    await this.channel.close();
  }

  private take(message: Uint8Array): void {
    const { reader } = this;
    reader.read(message);
    if (reader.created) this.created++;
    for (let at = 0; at < reader.count; at++) {
      const mod = reader.mods[at];
      const last = this.lastByWatch[reader.watchId];
      if (mod !== last + 1)
        this.failure ??= new Error(`watch ${reader.watchId} got revision ${mod} after ${last}`);
      this.lastByWatch[reader.watchId] = mod;
    }
    this.events += reader.count;
    this.onProgress?.();
  }
}

/** Finds watch id, `created` and the mod revisions of the events of a WatchResponse, in place. */
class EventReader {
  watchId = 0;
  created = false;
  count = 0;
  readonly mods: number[] = [];
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;

  read(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.at = 0;
    this.watchId = 0;
    this.created = false;
    this.count = 0;
    while (this.at < bytes.length) {
      const tag = this.varint();
      if (tag === 0x10) this.watchId = this.varint();
      else if (tag === 0x18) this.created = this.varint() === 1;
      else if (tag === 0x5a) this.event(this.varint());
      else this.skip(tag);
    }
  }

  /** Event: kv is field 2; of the KeyValue, mod_revision is field 3. */
  private event(length: number): void {
    const end = this.at + length;
    while (this.at < end) {
      const tag = this.varint();
      if (tag !== 0x12) {
        this.skip(tag);
        continue;
      }
      const kvEnd = this.varint() + this.at;
      while (this.at < kvEnd) {
        const field = this.varint();
        if (field === 0x18) {
          this.mods[this.count++] = this.varint();
          this.at = kvEnd;
        } else this.skip(field);
      }
    }
  }

  private skip(tag: number): void {
    if ((tag & 7) === 0) this.varint();
    else if ((tag & 7) === 2) this.at = this.varint() + this.at;
    else throw new Error(`unexpected wire type ${tag & 7}`);
  }

  private varint(): number {
    const { bytes } = this;
    let byte = bytes[this.at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 0x80;
    do {
      byte = bytes[this.at++];
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
    } while (byte >= 0x80);
    return value;
  }
}
