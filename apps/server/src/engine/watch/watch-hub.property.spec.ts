import { etcdserverpb, mvccpb } from '@conclave/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { installState, memoryBackend } from '../backend/memory-backend.fixture.js';
import { type ChangeSet, MvccStore } from '../mvcc/mvcc-store.js';
import { isInRange, rangeBounds, type RangeBounds } from '../mvcc/range-bounds.js';
import { encodeKeyValue, type NaiveEvent, NaiveStore, type NaiveWrite } from '../mvcc/testing/naive-store.js';
import { ManualClock } from './testing/manual-clock.js';
import { WatchClient } from './testing/watch-client.js';
import { WatchHub } from './watch-hub.js';

const STREAMS = 3;

type Step =
  | { readonly kind: 'txn'; readonly writes: readonly NaiveWrite[] }
  | { readonly kind: 'compact'; readonly percent: number }
  | { readonly kind: 'slice'; readonly rows: number }
  | { readonly kind: 'create'; readonly stream: number; readonly request: Request; readonly percent: number }
  | { readonly kind: 'cancel'; readonly stream: number; readonly id: number }
  | { readonly kind: 'progress'; readonly stream: number }
  | { readonly kind: 'drain'; readonly stream: number }
  | { readonly kind: 'work'; readonly budgetMs: number }
  | { readonly kind: 'cut' | 'restore' };

interface Request {
  readonly key: string;
  readonly rangeEnd: string;
  readonly fromNow: boolean;
  readonly filters: readonly etcdserverpb.WatchCreateRequest_FilterType[];
  readonly prevKv: boolean;
  readonly fragment: boolean;
}

const { NOPUT, NODELETE } = etcdserverpb.WatchCreateRequest_FilterType;
const key = fc.constantFrom('a', 'b', 'ba', 'c', '\xff');
const write: fc.Arbitrary<NaiveWrite> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key,
      value: fc.constantFrom('', 'x'),
      lease: fc.constant(0n),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      bounds: fc.tuple(key, fc.constantFrom('', '\0', 'c')).map(([from, end]) => rangeBounds(from, end)),
    }),
  },
);
const request: fc.Arbitrary<Request> = fc.record({
  key,
  rangeEnd: fc.constantFrom('', '', '\0', 'bb', '\xff'),
  fromNow: fc.boolean(),
  filters: fc.constantFrom([], [], [NOPUT], [NODELETE], [NOPUT, NODELETE]),
  prevKv: fc.boolean(),
  fragment: fc.boolean(),
});
const percent = fc.integer({ min: 0, max: 100 });
const stream = fc.nat(STREAMS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('txn' as const),
      writes: fc.array(write, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), percent }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('slice' as const), rows: fc.constantFrom(1, 3, 100) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), stream, request, percent }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), stream, id: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('progress' as const), stream }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('drain' as const), stream }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('work' as const), budgetMs: fc.constantFrom(0, 0, 0, 2) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'restore' as const) }) },
);

/** What one watch must be sent, and what it was. */
interface Expectation {
  readonly id: bigint;
  readonly bounds: RangeBounds;
  readonly start: number;
  readonly request: Request;
  isCreated: boolean;
  isCanceled: boolean;
  /** Canceled by its client: nothing after that is checked. */
  isDropped: boolean;
  readonly events: mvccpb.Event[];
  inFragment: boolean;
}

/** One client and the watches it made, in the order of their answers. */
class Checked {
  readonly watches: Expectation[] = [];
  private read = 0;

  constructor(
    readonly client: WatchClient,
    private readonly model: NaiveStore,
  ) {}

  /** Checks what the client has read since the last time. */
  check(): void {
    for (; this.read < this.client.received.length; this.read++)
      this.checkResponse(this.client.received[this.read]);
  }

  checkComplete(): void {
    for (const watch of this.watches) {
      expect(watch.isCreated).toBe(true);
      expect(watch.inFragment).toBe(false);
      if (!watch.isCanceled && !watch.isDropped) this.compare(watch, this.model.currentRevision);
    }
  }

  private checkResponse(response: etcdserverpb.WatchResponse): void {
    const revision = Number(response.header?.revision);
    if (response.watch_id === -1n) {
      for (const watch of this.watches) {
        if (watch.isCreated && !watch.isCanceled && !watch.isDropped) this.compare(watch, revision);
      }
      return;
    }
    const watch = this.watches.find(({ id, isCanceled }) => id === response.watch_id && !isCanceled);
    expect(watch).toBeDefined();
    if (watch === undefined) return;
    if (response.created) {
      expect(watch.isCreated).toBe(false);
      watch.isCreated = true;
      return;
    }
    expect(watch.isCreated).toBe(true);
    if (response.canceled) {
      watch.isCanceled = true;
      if (watch.isDropped) return;
      expect(Number(response.compact_revision)).toBeGreaterThan(watch.start);
      expect(revision).toBe(0);
      return;
    }
    this.checkEvents(watch, response);
  }

  private checkEvents(watch: Expectation, response: etcdserverpb.WatchResponse): void {
    expect(response.events.length).toBeGreaterThan(0);
    if (!watch.request.fragment) expect(response.fragment).toBe(false);
    const first = Number(response.events[0].kv?.mod_revision);
    const before = Number(watch.events.at(-1)?.kv?.mod_revision ?? 0n);
    // One revision is in one response, or in fragments that follow each other.
    if (!watch.inFragment) expect(first).toBeGreaterThan(before);
    watch.events.push(...response.events);
    watch.inFragment = response.fragment;
    const last = Number(response.events.at(-1)?.kv?.mod_revision);
    expect(Number(response.header?.revision)).toBeGreaterThanOrEqual(last);
    this.compare(watch, last, watch.inFragment);
  }

  /** Everything up to `revision` was sent, and nothing else; of `revision` itself only a part while in a fragment. */
  private compare(watch: Expectation, revision: number, isPartial = false): void {
    const expected = this.model.events.filter((event) => isWanted(watch, event) && event.main <= revision);
    if (!isPartial) expect(watch.events.length).toBe(expected.length);
    for (const [at, event] of watch.events.entries()) this.compareEvent(watch, event, expected[at]);
  }

  private compareEvent(watch: Expectation, event: mvccpb.Event, expected: NaiveEvent): void {
    const { main, key: changed, value } = expected;
    const previous = this.model.stateAt(main - 1).get(changed);
    expect(event.type).toBe(value === undefined ? mvccpb.Event_EventType.DELETE : mvccpb.Event_EventType.PUT);
    const kv =
      value === undefined
        ? encodeKeyValue({ key: changed, mod: main, create: 0, version: 0, value: '', lease: 0n })
        : this.model.encode(expected);
    expect(hex(event.kv)).toBe(Buffer.from(kv).toString('hex'));
    if (!watch.request.prevKv) expect(event.prev_kv).toBeUndefined();
    else if (event.prev_kv !== undefined) {
      expect(previous).toBeDefined();
      if (previous !== undefined)
        expect(hex(event.prev_kv)).toBe(Buffer.from(encodeKeyValue(previous)).toString('hex'));
    } else if (main > this.model.compactRevision) expect(previous).toBeUndefined();
  }
}

function isWanted(watch: Expectation, event: NaiveEvent): boolean {
  if (event.main < watch.start || !isInRange(watch.bounds, event.key)) return false;
  return !watch.request.filters.includes(event.value === undefined ? NODELETE : NOPUT);
}

function hex(kv: mvccpb.KeyValue | undefined): string {
  return kv === undefined ? '' : Buffer.from(mvccpb.KeyValue.encode(kv).finish()).toString('hex');
}

/**
 * A member with watches, and another one with the same history. While the first is cut off it applies nothing; then it is given
 * the state of the other.
 */
class Run {
  private readonly backend = memoryBackend();
  private readonly other = memoryBackend();
  private readonly model = new NaiveStore();
  private readonly store = MvccStore.open(this.backend);
  private readonly otherStore = MvccStore.open(this.other);
  private isCut = false;
  private readonly hub: WatchHub;
  private readonly streams: Checked[] = [];
  private nextIds: bigint[] = [];

  constructor() {
    this.hub = new WatchHub(this.store, {
      clock: new ManualClock(),
      random: { below: () => 0, uint64: () => 0n },
      header: () => ({ clusterId: 0xfeed_beef_feed_beefn, memberId: 7n, raftTerm: 3 }),
      fragmentBytes: 120,
      catchUpRevisionsMax: 4,
      inlineChangesMax: 3,
      stepRows: 2,
      slabBytes: 400,
    });
    const options = [{ capacity: 3 }, { capacity: 4, framed: true }, { framed: true }];
    for (const option of options)
      this.streams.push(new Checked(new WatchClient(this.hub, option), this.model));
    this.nextIds = options.map(() => 0n);
  }

  async run(next: Step): Promise<void> {
    switch (next.kind) {
      case 'txn':
        this.write(next.writes);
        break;
      case 'compact': {
        const revision = Math.floor((next.percent * this.model.currentRevision) / 100);
        if (this.model.compact(revision) === undefined) this.apply((store) => store.compact(revision));
        break;
      }
      case 'slice':
        this.store.compactSlice(next.rows);
        this.otherStore.compactSlice(next.rows + 1);
        break;
      case 'create':
        this.create(next.stream, next.request, next.percent);
        break;
      case 'cancel':
        this.cancel(next.stream, next.id);
        break;
      case 'progress':
        this.streams[next.stream].client.requestProgress();
        break;
      case 'drain':
        this.streams[next.stream].client.drain();
        break;
      case 'work':
        // The clock stands still: without a budget it is one step, which may end within a revision.
        this.hub.runCatchUp(next.budgetMs);
        break;
      case 'cut':
        this.isCut = true;
        break;
      case 'restore':
        await this.restore();
        break;
    }
    for (const checked of this.streams) checked.check();
  }

  /** The member is connected again, every client reads everything, and all catching up is done. */
  async heal(): Promise<void> {
    await this.restore();
    for (let round = 0; round < 1000; round++) {
      const hadWork = this.hub.runCatchUp();
      const before = this.streams.map(({ client }) => client.received.length).join();
      for (const checked of this.streams) checked.client.drain();
      for (const checked of this.streams) checked.check();
      if (!hadWork && before === this.streams.map(({ client }) => client.received.length).join()) break;
    }
    expect(this.hub.stats.slowWatchers).toBe(0);
    expect(this.hub.stats.pendingEvents).toBe(0);
    for (const checked of this.streams) checked.checkComplete();
    const open = this.streams.flatMap(({ watches }) => watches.filter((watch) => !watch.isCanceled));
    expect(this.hub.stats.watchers).toBe(open.length);
    for (const { client } of this.streams) client.stream.close();
    expect(this.hub.stats).toMatchObject({ watchers: 0, streams: 0, slowWatchers: 0 });
  }

  private write(writes: readonly NaiveWrite[]): void {
    this.model.write(writes);
    this.apply((store) => {
      const txn = store.begin();
      for (const next of writes) {
        if (next.kind === 'put') txn.put(next.key, Buffer.from(next.value, 'latin1'), next.lease);
        else txn.deleteRange(next.bounds);
      }
      return txn.end();
    });
  }

  /** One entry, on both members if the first is connected. */
  private apply(entry: (store: MvccStore) => ChangeSet | void): void {
    entry(this.otherStore);
    this.other.setApplied({ index: this.other.applied.index + 1, term: 1 });
    if (this.isCut) return;
    const set = entry(this.store);
    this.backend.setApplied(this.other.applied);
    if (set !== undefined) this.hub.notify(set);
  }

  private async restore(): Promise<void> {
    this.isCut = false;
    if (this.other.applied.index === this.backend.applied.index) return;
    await installState(this.other, this.backend, () => {
      this.store.reload();
      this.hub.restored();
    });
  }

  private create(at: number, asked: Request, share: number): void {
    const bounds = rangeBounds(asked.key, asked.rangeEnd);
    if (asked.rangeEnd !== '' && bounds.to !== undefined && bounds.to <= bounds.from) return;
    // A little beyond the current revision too: a watch of the future.
    const revision = Math.floor((share * (this.model.currentRevision + 4)) / 100);
    const start = asked.fromNow ? 0 : Math.max(1, revision);
    const id = this.nextIds[at]++;
    this.streams[at].watches.push({
      id,
      bounds,
      start: start === 0 ? this.store.currentRevision + 1 : start,
      request: asked,
      isCreated: false,
      isCanceled: false,
      isDropped: false,
      events: [],
      inFragment: false,
    });
    this.streams[at].client.create({
      key: Buffer.from(asked.key, 'latin1'),
      range_end: Buffer.from(asked.rangeEnd, 'latin1'),
      start_revision: BigInt(start),
      filters: [...asked.filters],
      prev_kv: asked.prevKv,
      fragment: asked.fragment,
    });
  }

  private cancel(at: number, id: number): void {
    const { client, watches } = this.streams[at];
    if (!client.stream.watchers.has(BigInt(id))) return;
    const watch = watches.find((other) => other.id === BigInt(id));
    if (watch !== undefined) watch.isDropped = true;
    client.cancel(BigInt(id));
  }
}

describe('WatchHub beside the plain history', () => {
  it('sends every watch exactly its part of the history, through slow readers, compactions and large transactions', () => {
    const runs = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }),
      async (steps) => {
        const run = new Run();
        for (const next of steps) await run.run(next);
        await run.heal();
      },
    );
    return fc.assert(runs, { numRuns: 200, seed: 4_711 });
  });
});
