import { Buffer } from 'node:buffer';
import { etcdserverpb } from '@conclave/protocol';
import { type WatchHub } from '../watch-hub.js';
import { type ChunkLender, type WatchSink } from '../watch-sink.js';
import { type WatchAuthorizer, type WatchStream } from '../watch-stream.js';

export interface WatchClientOptions {
  /** Messages that the sink takes before it asks to hold back; default: any number. */
  readonly capacity?: number;
  /** The sink takes framed chunks. */
  readonly framed?: boolean;
  readonly authorize?: WatchAuthorizer;
}

/** A message as it was sent; `lender` of the last one of a chunk gets it back. */
interface SentMessage {
  readonly bytes: Uint8Array;
  readonly lender: ChunkLender | undefined;
}

/**
 * The other end of a watch stream. With a capacity it reads only when told to: what was sent lies in the writer's memory
 * until then, and is decoded as late as that. A sink of frames gives chunks back, another one keeps them.
 */
export class WatchClient {
  readonly stream: WatchStream;
  /** Responses that the client has read. */
  readonly received: etcdserverpb.WatchResponse[] = [];
  private queued: SentMessage[] = [];
  private readonly capacity: number;

  constructor(hub: WatchHub, options: WatchClientOptions = {}) {
    this.capacity = options.capacity ?? Number.POSITIVE_INFINITY;
    const sink: WatchSink = { send: (message) => this.take(message) };
    if (options.framed === true)
      sink.sendFramed = (chunk, messages, lender) => this.takeFramed(chunk, messages, lender);
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
    this.read();
    this.stream.drained();
  }

  private read(): void {
    for (const { bytes, lender } of this.queued) {
      this.received.push(etcdserverpb.WatchResponse.decode(bytes));
      lender?.returned();
    }
    this.queued = [];
  }

  private take(bytes: Uint8Array, lender?: ChunkLender): boolean {
    this.queued.push({ bytes, lender });
    if (this.queued.length < this.capacity) {
      if (this.capacity === Number.POSITIVE_INFINITY) this.read();
      return true;
    }
    return false;
  }

  private takeFramed(chunk: Uint8Array, messages: number, lender: ChunkLender): boolean {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    let at = 0;
    let count = 0;
    let accepts = true;
    while (at < view.length) {
      if (view[at] !== 0) throw new Error('a message of the chunk says that it is compressed');
      const length = view.readUInt32BE(at + 1);
      const end = at + 5 + length;
      accepts = this.take(view.subarray(at + 5, end), end === view.length ? lender : undefined);
      at = end;
      count++;
    }
    if (at !== view.length || count !== messages)
      throw new Error('a chunk holds whole messages, as many as it says');
    return accepts;
  }
}
