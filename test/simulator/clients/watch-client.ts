import { etcdserverpb } from '@conclave/protocol';
import { type RequestStream, type ResponseStream } from '../../../apps/server/src/engine/requests/method.js';
import { WatchCheck, type WatchedRange } from '../checks/watch-check.js';
import { type Draw } from '../world/fate.js';
import { type Profile } from '../world/profile.js';
import { type Member } from '../world/member.js';
import { requestContext, type ClientParts } from './connection.js';
import { Home } from './home.js';
import { rangeLabel } from './requests.js';

const { NOPUT, NODELETE } = etcdserverpb.WatchCreateRequest_FilterType;

/** What is open on the running process. */
interface OpenStream {
  readonly member: Member;
  /** Undefined until the member takes the call. */
  requests: RequestStream | undefined;
  readonly responses: ResponseStream;
  /** Answers on their way. */
  readonly queue: Uint8Array[];
  isReading: boolean;
  holdsBack: boolean;
  isBroken: boolean;
}

/** One stream with a few watches. After every break it goes on where it was, at the revision after the last whole one. */
export class WatchClient {
  private readonly home: Home;
  private readonly watches = new Map<bigint, WatchCheck>();
  private stream: OpenStream | undefined;
  private lastId = 0n;
  private steps = 0;
  private reads = 0;
  private isDone = false;

  constructor(
    private readonly parts: ClientParts,
    private readonly profile: Profile,
    private readonly number: number,
    private readonly resumeRevision: (next: number, headerRevision: number) => number,
  ) {
    this.home = new Home(parts, number, () => {});
  }

  start(): void {
    const { fate } = this.parts;
    const count = 1 + fate.below(3, 'watches', this.number, 0);
    for (let at = 0; at < count; at++) this.add();
    this.later();
  }

  broken(member: Member): void {
    if (this.stream?.member === member) this.disconnect(this.stream);
  }

  private disconnect(stream: OpenStream): void {
    this.home.leave(stream.member);
    stream.isBroken = true;
    this.stream = undefined;
    for (const watch of this.watches.values()) watch.interrupted();
  }

  /** Some member serves: all watches are made anew, when they have to be. */
  reconnect(): void {
    const member = this.stream === undefined ? this.home.find() : undefined;
    if (member !== undefined) this.open(member);
  }

  /** No new watches from now on; those that are must become current. */
  stop(): void {
    this.isDone = true;
  }

  get delivered(): number {
    let events = 0;
    for (const watch of this.watches.values()) events += watch.events;
    return events;
  }

  /** W10. */
  checkCurrent(): void {
    for (const watch of this.watches.values()) watch.checkCurrent();
  }

  private add(): void {
    const id = ++this.lastId;
    const draw = this.parts.fate.draw('watch', this.number, Number(id));
    const range = drawRange(draw, this.profile);
    const { revision } = this.parts.log.model;
    const start = draw.pick([0, 1, Math.max(1, revision - draw.below(10)), revision + draw.below(8)]);
    this.watches.set(id, new WatchCheck(this.parts.log, range, start));
  }

  private later(): void {
    const { fate, schedule } = this.parts;
    const pause = fate.below(800, 'watch pause', this.number, ++this.steps);
    schedule.after(pause, `watch client ${this.number} is awake`, () => this.step());
  }

  private step(): void {
    this.later();
    if (this.stream === undefined) return this.reconnect();
    if (this.isDone) return;
    const draw = this.parts.fate.draw('watch step', this.number, this.steps);
    const point = draw.next();
    if (point < 0.25) this.send(this.stream, progressRequest());
    else if (point < 0.4) this.replaceOne(draw);
    else if (point < 0.45 && this.parts.members.length > 1) this.move(this.stream);
  }

  private send(stream: OpenStream, message: Uint8Array): void {
    stream.member.enter(() => stream.requests?.message(message));
  }

  /** Goes on at another member, maybe. */
  private move(stream: OpenStream): void {
    stream.member.enter(() => stream.requests?.cancel());
    this.disconnect(stream);
    this.reconnect();
  }

  /** Cancels a watch and makes another one. */
  private replaceOne(draw: Draw): void {
    const id = draw.pick([...this.watches.keys()]);
    this.watches.delete(id);
    this.parts.schedule.note(`watch client ${this.number} cancels ${id}`);
    const message = { request_union: { $case: 'cancel_request' as const, value: { watch_id: id } } };
    this.send(this.stream!, etcdserverpb.WatchRequest.encode(message).finish());
    this.add();
    this.create(this.lastId, this.watches.get(this.lastId)!);
  }

  private open(member: Member): void {
    const { schedule } = this.parts;
    const method = member.engine!.methods.get('/etcdserverpb.Watch/Watch');
    if (method?.kind !== 'stream') throw new Error('Watch is a stream');
    schedule.note(`watch client ${this.number} connects${this.home.label}`);
    const responses: ResponseStream = {
      onDrain: undefined,
      send: (message) => this.take(stream, message),
      end: () => {
        if (this.stream === stream) this.disconnect(stream);
      },
    };
    const stream: OpenStream = {
      member,
      requests: undefined,
      responses,
      queue: [],
      isReading: false,
      holdsBack: false,
      isBroken: false,
    };
    this.stream = stream;
    member.enter(() => (stream.requests = method.open(requestContext(), responses)));
    for (const [id, watch] of [...this.watches]) this.create(id, watch);
  }

  private create(id: bigint, watch: WatchCheck): void {
    const { stream } = this;
    if (stream === undefined) return;
    const { range } = watch;
    const { log, schedule } = this.parts;
    const current = log.entries[stream.member.log.applied].answer.revision;
    const start = watch.resume(this.resumeRevision, current);
    const label = rangeLabel(range.key, range.rangeEnd);
    schedule.note(`watch client ${this.number} watches ${label} from ${start} as ${id}`);
    const value = etcdserverpb.WatchCreateRequest.fromPartial({
      key: range.key,
      range_end: range.rangeEnd,
      start_revision: BigInt(start),
      progress_notify: range.progress,
      filters: [...(range.noPut ? [NOPUT] : []), ...(range.noDelete ? [NODELETE] : [])],
      prev_kv: range.prevKv,
      watch_id: id,
    });
    const message = { request_union: { $case: 'create_request' as const, value } };
    this.send(stream, etcdserverpb.WatchRequest.encode(message).finish());
  }

  /** The member sends: it arrives later, and the member is asked to wait when too much is on its way. */
  private take(stream: OpenStream, message: Uint8Array): boolean {
    stream.queue.push(message.slice());
    if (!stream.isReading) this.readLater(stream);
    stream.holdsBack ||= stream.queue.length >= this.profile.watchBuffer;
    return !stream.holdsBack;
  }

  private readLater(stream: OpenStream): void {
    const { fate, schedule } = this.parts;
    const isSlow = this.profile.watchBuffer < 8;
    const number = ++this.reads;
    stream.isReading = true;
    const delay = fate.below(isSlow ? 30_000 : 2_000, 'watch network', this.number, number) / 1000;
    schedule.after(delay, `watch client ${this.number} reads`, () => {
      if (stream.isBroken) return;
      this.read(etcdserverpb.WatchResponse.decode(stream.queue.shift()!));
      stream.isReading = false;
      if (stream.queue.length > 0) return this.readLater(stream);
      if (!stream.holdsBack) return;
      stream.holdsBack = false;
      stream.member.enter(() => stream.responses.onDrain?.());
    });
  }

  private read(response: etcdserverpb.WatchResponse): void {
    const { watch_id: id } = response;
    if (id === -1n) {
      for (const watch of this.watches.values()) watch.progress(Number(response.header?.revision ?? 0n));
      return;
    }
    const watch = this.watches.get(id);
    if (watch === undefined) return;
    watch.take(response);
    if (!watch.wasCanceled) return;
    // Its history is gone: another one takes its place, from where history begins.
    this.watches.delete(id);
    const successor = watch.successor();
    this.watches.set(++this.lastId, successor);
    this.create(this.lastId, successor);
  }
}

function progressRequest(): Uint8Array {
  const message = { request_union: { $case: 'progress_request' as const, value: {} } };
  return etcdserverpb.WatchRequest.encode(message).finish();
}

function drawRange(draw: Draw, profile: Profile): WatchedRange {
  const key = Buffer.from(`k${draw.below(profile.keys)}`);
  const rangeEnd = draw.pick([Buffer.alloc(0), Buffer.from('\0'), Buffer.from('l')]);
  return {
    key,
    rangeEnd,
    prevKv: draw.chance(0.4),
    noPut: draw.chance(0.1),
    noDelete: draw.chance(0.1),
    progress: draw.chance(0.4),
  };
}
