import { type ClientStream } from '@conclave/grpc';
import { etcdserverpb, mvccpb } from '@conclave/protocol';
import { type SeenEvent, type WatchLog } from '../history/operation.js';
import { deletion } from '../history/store-model.js';
import { foundKey, type MemberClient } from './member-client.js';

export interface WatcherOptions {
  readonly name: string;
  readonly key: Buffer;
  readonly range_end: Buffer;
  readonly matches: (key: string) => boolean;
  /** The revision from which it wants everything; 1 by default. */
  readonly from?: number;
  /** Also resumes after a revision of which it only heard by a progress notification. */
  readonly trustsProgress?: boolean;
  readonly onRevision?: (revision: number) => void;
}

/**
 * One watcher that outlives its connections: on the next one it resumes right after the last revision that it has
 * completely. It keeps everything that it was told, for the checker.
 *
 * Invariant: all events below `resumeAt`, and none from there on, are in `events`, unless a response was cut in fragments;
 * `partial` holds the fragments whose last one is still to come, and a connection that ends takes them with it.
 */
export class Watcher implements WatchLog {
  readonly events: SeenEvent[] = [];
  /** Why the member ended it, which it never should. */
  cancelReason: string | undefined;
  private resumeAt: number;
  private partial: SeenEvent[] = [];
  private stream: ClientStream | undefined;
  private waiting: { revision: number; resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(private readonly options: WatcherOptions) {
    this.resumeAt = options.from ?? 1;
  }

  get name(): string {
    return this.options.name;
  }

  get from(): number {
    return this.options.from ?? 1;
  }

  /** What happens after it stopped listening, such as the end of a lease, is not its business. */
  get to(): number {
    return this.reached;
  }

  get matches(): (key: string) => boolean {
    return this.options.matches;
  }

  /** The last revision that it has completely, or knows not to concern it. */
  get reached(): number {
    return this.resumeAt - 1;
  }

  /** Watches over this connection from now on. */
  connect(client: MemberClient): void {
    this.partial = [];
    const stream = client.channel.stream('/etcdserverpb.Watch/Watch');
    this.stream = stream;
    stream.onMessage = (message) => {
      // The bytes are valid during the call only, and a decoded buffer may be a view of them.
      if (this.stream === stream) this.receive(etcdserverpb.WatchResponse.decode(Buffer.from(message)));
    };
    stream.onEnd = () => undefined;
    const value = etcdserverpb.WatchCreateRequest.fromPartial({
      key: this.options.key,
      range_end: this.options.range_end,
      start_revision: BigInt(this.resumeAt),
      progress_notify: this.options.trustsProgress === true,
      fragment: true,
    });
    this.send({ $case: 'create_request', value });
  }

  /** Asks how far it is; the answer arrives behind all events up to there. */
  askProgress(): void {
    this.send({ $case: 'progress_request', value: {} });
  }

  /** Resolves when it has everything up to `revision`; rejects when the member ends it before. */
  until(revision: number): Promise<void> {
    if (this.reached >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => this.waiting.push({ revision, resolve, reject }));
  }

  disconnect(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.cancel();
  }

  private send(request_union: etcdserverpb.WatchRequest['request_union']): void {
    this.stream!.send(etcdserverpb.WatchRequest.encode({ request_union }).finish());
  }

  private receive(response: etcdserverpb.WatchResponse): void {
    if (response.canceled) {
      this.cancelReason = `${response.cancel_reason} (compacted ${response.compact_revision})`;
      const error = new Error(`watcher ${this.name} from ${this.resumeAt} was ended: ${this.cancelReason}`);
      for (const { reject } of this.waiting.splice(0)) reject(error);
      return;
    }
    for (const event of response.events) this.partial.push(seenEvent(event));
    if (response.fragment) return;
    const last = this.partial.at(-1);
    this.events.push(...this.partial.splice(0));
    if (last !== undefined) this.advance(last.modRevision);
    else if (this.options.trustsProgress === true && !response.created) {
      this.advance(Number(response.header!.revision));
    }
  }

  private advance(revision: number): void {
    // Never backwards: an answer that says less is for the checker, which sees the events.
    this.resumeAt = Math.max(this.resumeAt, revision + 1);
    this.options.onRevision?.(revision);
    const [ready, waiting] = [[] as typeof this.waiting, [] as typeof this.waiting];
    for (const entry of this.waiting) (entry.revision <= this.reached ? ready : waiting).push(entry);
    this.waiting = waiting;
    for (const { resolve } of ready) resolve();
  }
}

function seenEvent(event: mvccpb.Event): SeenEvent {
  const kv = event.kv!;
  if (event.type === mvccpb.Event_EventType.DELETE) {
    return deletion(kv.key.toString('latin1'), Number(kv.mod_revision));
  }
  return { kind: 'put', ...foundKey(kv) };
}
