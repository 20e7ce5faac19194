import { etcdserverpb } from '@conclave/protocol';
import { type WatchHub } from '../watch-hub.js';
import { type WatchSink } from '../watch-sink.js';
import { type WatchAuthorizer, type WatchStream } from '../watch-stream.js';

export interface WatchClientOptions {
  /** Messages that the sink takes before it asks to hold back; default: any number. */
  readonly capacity?: number;
  /** The sink takes framed chunks. */
  readonly framed?: boolean;
  readonly authorize?: WatchAuthorizer;
}

/** The other end of a watch stream: decodes what arrives, and reads only when told to, if it has a capacity. */
export class WatchClient {
  readonly stream: WatchStream;
  /** Responses that the client has read. */
  readonly received: etcdserverpb.WatchResponse[] = [];
  private queued: etcdserverpb.WatchResponse[] = [];
  private readonly capacity: number;

  constructor(hub: WatchHub, options: WatchClientOptions = {}) {
    this.capacity = options.capacity ?? Number.POSITIVE_INFINITY;
    const sink: WatchSink = { send: (message) => this.take(message) };
    if (options.framed === true) sink.sendFramed = (chunk, messages) => this.takeFramed(chunk, messages);
    this.stream = hub.open(sink, options.authorize);
  }

  create(request: Partial<etcdserverpb.WatchCreateRequest> & { readonly key: Buffer }): void {
    const value = { ...etcdserverpb.WatchCreateRequest.create(), ...request };
    this.stream.handle({ request_union: { $case: 'create_request', value } });
  }

  cancel(id: bigint): void {
    this.stream.handle({ request_union: { $case: 'cancel_request', value: { watch_id: id } } });
  }

  requestProgress(): void {
    this.stream.handle({ request_union: { $case: 'progress_request', value: {} } });
  }

  /** Reads everything that was sent. */
  drain(): void {
    this.received.push(...this.queued);
    this.queued = [];
    this.stream.drained();
  }

  private take(message: Uint8Array): boolean {
    const response = etcdserverpb.WatchResponse.decode(message);
    if (this.capacity === Number.POSITIVE_INFINITY) {
      this.received.push(response);
      return true;
    }
    this.queued.push(response);
    return this.queued.length < this.capacity;
  }

  private takeFramed(chunk: Uint8Array, messages: number): boolean {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = 0;
    let count = 0;
    let accepts = true;
    while (at < view.length) {
      if (view[at] !== 0) throw new Error('a message of the chunk says that it is compressed');
      const length = view.readUInt32BE(at + 1);
      accepts = this.take(view.subarray(at + 5, at + 5 + length));
      at += 5 + length;
      count++;
    }
    if (at !== view.length || count !== messages)
      throw new Error('a chunk holds whole messages, as many as it says');
    return accepts;
  }
}
